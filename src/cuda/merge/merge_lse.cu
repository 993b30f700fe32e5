// dsa_merge_lse on the GPU: a block a (row, head). Every element is read once; memory decides.
#include <algorithm>

#include "cuda/attention/softmax_end.cuh"
#include "cuda/element.cuh"
#include "cuda/kernel.h"
#include "cuda/merge/merge_lse.h"

namespace dsa::cuda {
namespace {

constexpr int32_t kThreads = 128;
constexpr int32_t kPartsAtOnce = 128;     // weights in shared memory
constexpr int32_t kElementsOfThread = 8;  // sums in registers: 1024 elements a pass

// A part's natural lse; -inf when it is empty.
__device__ float part_lse(const MergeLseParams& p, int64_t part, int64_t t, int32_t h) {
  const char* at =
      p.partial_lse.row(t) + part * p.lse_part_stride + h * p.partial_lse.stride[0] * 4;
  const float lse = *reinterpret_cast<const float*>(at);
  if (p.lse_empty_pos_inf && lse == CUDART_INF_F) return -CUDART_INF_F;
  return p.lse_base2 ? lse * 0.69314718055994530942f : lse;
}

// Largest lse of the parts, and the sum of exp(lse - top): by every thread, in part order.
__device__ void sum_parts(const MergeLseParams& p, int64_t t, int32_t h, float& top, float& sum) {
  top = -CUDART_INF_F;
  for (int64_t i = 0; i < p.parts; ++i) top = fmaxf(top, part_lse(p, i, t, h));
  sum = 0;
  for (int64_t i = 0; i < p.parts; ++i) {
    const float lse = part_lse(p, i, t, h);
    if (lse != -CUDART_INF_F) sum += expf(lse - top);
  }
}

__device__ void write_out(const MergeLseParams& p, int64_t t, int32_t h, float top, float factor) {
  __shared__ float weights[kPartsAtOnce];
  const RowTensor& x = p.partial_out;
  for (int32_t first = 0; first < p.value_dim; first += kThreads * kElementsOfThread) {
    float sums[kElementsOfThread] = {};
    for (int64_t begin = 0; begin < p.parts; begin += kPartsAtOnce) {
      const int32_t n = static_cast<int32_t>(min(p.parts - begin, int64_t{kPartsAtOnce}));
      __syncthreads();
      for (int32_t i = threadIdx.x; i < n; i += kThreads) {
        const float lse = part_lse(p, begin + i, t, h);
        weights[i] = lse == -CUDART_INF_F ? -1.0f : expf(lse - top) * factor;
      }
      __syncthreads();
      for (int32_t i = 0; i < n; ++i) {
        if (weights[i] < 0) continue;  // empty: whatever its out holds
        const char* at = x.row(t) + (begin + i) * p.out_part_stride + h * x.stride[0] * x.bytes;
#pragma unroll
        for (int32_t j = 0; j < kElementsOfThread; ++j) {
          const int32_t d = first + j * kThreads + threadIdx.x;
          if (d < p.value_dim) {
            sums[j] += weights[i] * load_element(at, x.dtype, d * x.stride[1]);
          }
        }
      }
    }
    char* out = p.out.row(t) + h * p.out.stride[0] * p.out.bytes;
#pragma unroll
    for (int32_t j = 0; j < kElementsOfThread; ++j) {
      const int32_t d = first + j * kThreads + threadIdx.x;
      if (d < p.value_dim) store_element(out, p.out.dtype, d * p.out.stride[1], sums[j]);
    }
  }
}

__device__ float largest_max(const MergeLseParams& p, int64_t t, int32_t h) {
  float max = -CUDART_INF_F;
  for (int64_t i = 0; i < p.parts; ++i) {
    if (part_lse(p, i, t, h) == -CUDART_INF_F) continue;
    const char* at = p.partial_max.row(t) + i * p.max_part_stride + h * p.partial_max.stride[0] * 4;
    const float x = *reinterpret_cast<const float*>(at);
    if (x > max || x != x) max = x;
  }
  return max;
}

__global__ void __launch_bounds__(kThreads) merge_lse(const __grid_constant__ MergeLseParams p) {
  const int64_t tasks = p.rows * p.heads;
  for (int64_t task = blockIdx.x; task < tasks; task += gridDim.x) {
    const int64_t t = task / p.heads;
    const int32_t h = static_cast<int32_t>(task % p.heads);
    float top, sum;
    sum_parts(p, t, h, top, sum);
    const float sink =
        p.sink ? *reinterpret_cast<const float*>(p.sink + h * p.sink_stride) : -CUDART_INF_F;
    const SoftmaxEnd end =
        end_softmax(top, sum, sink, {p.lse_base2, p.lse_with_sink, p.lse_empty_pos_inf});
    if (p.out.given()) write_out(p, t, h, top, end.factor);
    if (threadIdx.x == 0) {
      if (p.lse.given()) p.lse.row_as<float>(t)[h * p.lse.stride[0]] = end.lse;
      if (p.max.given()) p.max.row_as<float>(t)[h * p.max.stride[0]] = largest_max(p, t, h);
    }
  }
}

const char* refuse(const MergeLseParams&) { return nullptr; }

uint64_t workspace(const MergeLseParams&, int32_t) { return 0; }

cudaError_t launch(const MergeLseParams& p, const Run& run) {
  const int64_t tasks = p.rows * p.heads;
  const uint32_t blocks =
      static_cast<uint32_t>(std::min<int64_t>(tasks, int64_t{16} * run.device->multiprocessors));
  return launch_function(merge_lse, {.grid = blocks, .block = kThreads}, stream_of(run), p);
}

cudaError_t load() { return load_function(merge_lse); }

}  // namespace

constinit const Kernel kMergeLse =
    make_kernel<MergeLseParams, refuse, workspace, launch, load>("cuda.merge_lse.sm80", "sm80", 80);

}  // namespace dsa::cuda
