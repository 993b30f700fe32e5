#include "cuda/attention/finish.cuh"
#include "cuda/attention/merge_splits.h"
#include "cuda/attention/softmax.cuh"
#include "cuda/element.cuh"
#include "cuda/kernel.h"
#include "cuda/ptx.cuh"

namespace dsa::cuda {
namespace {

constexpr int32_t kColumnThreads = 128;  // along Dv, 4 columns each, at most
constexpr uint32_t kParts = 4;           // blocks of a head where there are few heads
constexpr int32_t kSplitsOfRange = 8;    // loads under way of a thread: one round trip to L2
constexpr int32_t kMostRanges = kMostSplits / kSplitsOfRange;

// Columns [at, at + 4) of a row of partial sums; those past the end are 0.
__device__ float4 load_columns(const float* row, int32_t at, int32_t columns) {
  if (columns % 4 == 0) return *reinterpret_cast<const float4*>(row + at);
  float4 x = {};
  x.x = row[at];
  if (at + 1 < columns) x.y = row[at + 1];
  if (at + 2 < columns) x.z = row[at + 2];
  if (at + 3 < columns) x.w = row[at + 3];
  return x;
}

// Weights of one (row, head)'s splits, and its numbers, by the first warp.
__device__ void find_weights(const SparseAttnParams& p, const AttnDivision& d, int64_t t, int32_t h,
                             bool writes, float* weights, float* factor) {
  const float2* const states = d.partials.state + (t * p.heads + h) * d.splits;
  const float2 none = {-CUDART_INF_F, 0};
  const int32_t lane = threadIdx.x;
  const float2 a = lane < d.splits ? states[lane] : none;
  const float2 b = lane + 32 < d.splits ? states[lane + 32] : none;
  const float top = warp_max_or_nan(max_or_nan(a.x, b.x));
  const float base = finite_top(top);
  weights[lane] = expf(a.x - base);
  weights[lane + 32] = expf(b.x - base);
  const float sum = warp_sum(a.y * weights[lane] + b.y * weights[lane + 32]);
  const SoftmaxEnd end = end_head(p, h, top, sum);
  if (lane == 0) {
    *factor = end.factor;
    if (writes) write_numbers(p, t, h, top, end.lse);
  }
}

// A block merges one (row, head), or a part of its columns. Splits are summed in order within
// ranges of 8, a thread each, and then the ranges in order.
__global__ void __launch_bounds__(kColumnThreads* kMostRanges)
    merge_splits(const __grid_constant__ SparseAttnParams p, const __grid_constant__ AttnDivision d,
                 const uint32_t parts) {
  let_next_start();
  wait_for_previous();
  __shared__ float weights[kMostSplits];
  __shared__ float factor;
  __shared__ float4 sums[kMostRanges - 1][kColumnThreads];
  const uint32_t head_of_part = blockIdx.x / parts;  // of the call, or the part of it
  const uint32_t part_of_head = blockIdx.x % parts;
  const uint32_t threads = kColumnThreads / parts;  // along Dv
  const uint32_t thread = threadIdx.x % threads, range = threadIdx.x / threads;
  const int32_t column = static_cast<int32_t>(part_of_head * threads + thread) * 4;
  const uint32_t ranges = blockDim.x / threads;
  const int64_t t = p.first_row + head_of_part / p.heads;
  const uint32_t h = head_of_part % p.heads;
  const int64_t first_split = (t * p.heads + h) * d.splits;
  const float* const partials = d.partials.out + first_split * p.value_dim;
  for (int32_t first = 0; first == 0 || first < p.value_dim; first += kColumnThreads * 4) {
    const int32_t at = first + column;
    float4 part[kSplitsOfRange];
#pragma unroll
    for (int32_t i = 0; i < kSplitsOfRange; ++i) {
      const int32_t split = static_cast<int32_t>(range) * kSplitsOfRange + i;
      part[i] = split < d.splits && at < p.value_dim
                    ? load_columns(partials + int64_t{split} * p.value_dim, at, p.value_dim)
                    : float4{};
    }
    // Behind those loads, so that both are under way at once.
    if (first == 0 && threadIdx.x < 32) {
      find_weights(p, d, t, h, part_of_head == 0, weights, &factor);
    }
    __syncthreads();
    float4 sum = {};
#pragma unroll
    for (int32_t i = 0; i < kSplitsOfRange; ++i) {
      const float weight = weights[range * kSplitsOfRange + i];
      if (weight == 0) continue;  // whatever the sums are
      sum.x += part[i].x * weight;
      sum.y += part[i].y * weight;
      sum.z += part[i].z * weight;
      sum.w += part[i].w * weight;
    }
    if (range > 0) sums[range - 1][thread] = sum;
    __syncthreads();
    if (range > 0 || at >= p.value_dim) continue;
    for (uint32_t r = 1; r < ranges; ++r) {
      const float4 other = sums[r - 1][thread];
      sum.x += other.x, sum.y += other.y, sum.z += other.z, sum.w += other.w;
    }
    char* const out = p.out.row(t) + h * p.out.stride[0] * p.out.bytes;
    const float columns[4] = {sum.x, sum.y, sum.z, sum.w};
#pragma unroll
    for (int32_t i = 0; i < 4; ++i) {
      if (at + i < p.value_dim) {
        store_element(out, p.out.dtype, (at + i) * p.out.stride[1], columns[i] * factor);
      }
    }
  }
}

}  // namespace

cudaError_t attn_merge_splits(const SparseAttnParams& p, const AttnDivision& d, const Run& run) {
  const int32_t ranges = (d.splits + kSplitsOfRange - 1) / kSplitsOfRange;
  const int64_t heads = p.rows * p.heads;
  const uint32_t parts = heads <= run.device->multiprocessors ? kParts : 1;
  return launch_function(merge_splits,
                         {.grid = static_cast<uint32_t>(heads * parts),
                          .block = static_cast<uint32_t>(kColumnThreads / parts * ranges),
                          .overlap_previous = run.device->compute_capability >= 90},
                         stream_of(run), p, d, parts);
}

cudaError_t attn_load_merge_splits() { return load_function(merge_splits); }

}  // namespace dsa::cuda
