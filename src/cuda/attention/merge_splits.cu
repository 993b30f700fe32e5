#include <algorithm>

#include "cuda/attention/finish.cuh"
#include "cuda/attention/merge_splits.h"
#include "cuda/attention/softmax.cuh"
#include "cuda/element.cuh"
#include "cuda/kernel.h"

namespace dsa::cuda {
namespace {

constexpr int32_t kColumns = 32;  // threads along Dv
constexpr int32_t kRanges = 8;    // threads along the splits: one round trip to L2 for 64
constexpr int32_t kSplitsOfRange = kMostSplits / kRanges;

// A block merges 32 columns of one (row, head). Splits are summed in order within a range, then the
// ranges in order.
__global__ void __launch_bounds__(kColumns* kRanges)
    merge_splits(const __grid_constant__ SparseAttnParams p,
                 const __grid_constant__ AttnDivision d) {
#if __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
  __shared__ float weights[kMostSplits];
  __shared__ float ends[3];  // top, factor, lse
  __shared__ float sums[kRanges][kColumns];
  const int32_t chunks = max(1, (p.value_dim + kColumns - 1) / kColumns);
  const int64_t head_of_call = blockIdx.x / chunks;
  const int32_t chunk = static_cast<int32_t>(blockIdx.x % chunks);
  const int64_t t = head_of_call / p.heads;
  const int32_t h = static_cast<int32_t>(head_of_call % p.heads);
  const int64_t first = head_of_call * d.splits;

  if (threadIdx.x < 32) {
    const float2 none = {-CUDART_INF_F, 0};
    const int32_t lane = threadIdx.x;
    const float2 a = lane < d.splits ? d.partials.state[first + lane] : none;
    const float2 b = lane + 32 < d.splits ? d.partials.state[first + lane + 32] : none;
    const float top = warp_max_or_nan(max_or_nan(a.x, b.x));
    const float base = finite_top(top);
    const float weight_a = expf(a.x - base), weight_b = expf(b.x - base);
    weights[lane] = weight_a;
    weights[lane + 32] = weight_b;
    const float sum = warp_sum(a.y * weight_a + b.y * weight_b);
    const SoftmaxEnd end = end_head(p, h, top, sum);
    if (lane == 0) {
      ends[0] = top, ends[1] = end.factor, ends[2] = end.lse;
      if (chunk == 0) write_numbers(p, t, h, top, end.lse);
    }
  }
  __syncthreads();
  if (!p.out.given()) return;
  const int32_t column = threadIdx.x % kColumns, range = threadIdx.x / kColumns;
  const int32_t at = chunk * kColumns + column;
  float part[kSplitsOfRange];
#pragma unroll
  for (int32_t i = 0; i < kSplitsOfRange; ++i) {
    const int32_t split = range * kSplitsOfRange + i;
    // A split without keys wrote no sums.
    const bool read = split < d.splits && at < p.value_dim && weights[split] != 0;
    part[i] = read ? d.partials.out[(first + split) * p.value_dim + at] : 0;
  }
  float sum = 0;
#pragma unroll
  for (int32_t i = 0; i < kSplitsOfRange; ++i) {
    sum += part[i] * weights[range * kSplitsOfRange + i];
  }
  sums[range][column] = sum;
  __syncthreads();
  if (range > 0 || at >= p.value_dim) return;
  for (int32_t r = 1; r < kRanges; ++r) sum += sums[r][column];
  store_element(p.out.row(t), p.out.dtype, h * p.out.stride[0] + at * p.out.stride[1],
                sum * ends[1]);
}

}  // namespace

cudaError_t attn_merge_splits(const SparseAttnParams& p, const AttnDivision& d, const Run& run) {
  const int32_t chunks = std::max(1, (p.value_dim + kColumns - 1) / kColumns);
  const int64_t blocks = p.rows * p.heads * chunks;
  return launch_function(merge_splits,
                         {.grid = static_cast<uint32_t>(blocks),
                          .block = kColumns * kRanges,
                          .overlap_previous = run.device->compute_capability >= 90},
                         stream_of(run), p, d);
}

cudaError_t attn_load_merge_splits() { return load_function(merge_splits); }

}  // namespace dsa::cuda
