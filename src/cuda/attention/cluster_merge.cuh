// The merge of a row's splits by the blocks of a thread block cluster, which are all there at once:
// no second kernel waits for a first. Partial results go through L2: it gives a multiprocessor 50
// bytes a clock, the shared memory of others 10 (16 heads: 3,000 clocks against 1,000).
#pragma once

#include "cuda/attention/division.h"
#include "cuda/attention/finish.cuh"
#include "cuda/attention/output.cuh"
#include "cuda/attention/softmax.cuh"
#include "cuda/cluster.cuh"

namespace dsa::cuda {

// Where the splits of a task leave what they find, in AttnPartials of rows of `pitch` floats, a
// multiple of 4.
struct ClusterPartials {
  float2* states;  // of the task's first head and first split
  float* all;
  int32_t split, splits;
  int32_t columns, pitch;

  __device__ ClusterPartials(const SparseAttnParams& p, const AttnDivision& d, const AttnTask& task)
      : split(task.split),
        splits(d.splits),
        columns(p.value_dim),
        pitch(attn_partial_pitch(p.value_dim)) {
    const int64_t first = (task.t * p.heads + task.head) * d.splits;
    states = d.partials.state + first;
    all = d.partials.out + first * pitch;
  }
  __device__ float2* state(int32_t h) const { return states + h * splits + split; }
  __device__ float* sums(int32_t h) const { return all + (h * splits + split) * pitch; }
};

// RowTensor::row without its code for two leading axes where there is one.
__device__ __noinline__ inline char* row_of_two_axes(const RowTensor& tensor, int64_t t) {
  return tensor.row(t);
}
__device__ inline char* row_of(const RowTensor& tensor, int64_t t) {
  return tensor.split == 0 ? tensor.data + t * tensor.row_stride : row_of_two_axes(tensor, t);
}

#if __CUDA_ARCH__ >= 900

// By all threads of the blocks of a cluster of kSplits that have not ended, 128 of them for a head:
// head split + i kSplits of the task by the i-th 128. Splits are summed in order.
template <int kSplits>
__device__ inline void merge_cluster(const SparseAttnParams& p, const AttnTask& task,
                                     const ClusterPartials& partials) {
  constexpr int32_t kColumnThreads = 128;  // 4 columns each
  cluster_arrive();
  const int32_t h = task.split + static_cast<int32_t>(threadIdx.x) / kColumnThreads * kSplits;
  const int32_t column = threadIdx.x % kColumnThreads * 4, lane = threadIdx.x % 32;
  const float2* const states = partials.states + h * kSplits;
  const float4* const sums = reinterpret_cast<const float4*>(
      partials.all + static_cast<int64_t>(h) * kSplits * partials.pitch + column);
  char* const row = row_of(p.out, task.t) + (task.head + h) * p.out.stride[0] * p.out.bytes;
  const int32_t dtype = p.out.dtype;
  const int64_t stride = p.out.stride[1];
  cluster_wait();
  if (h >= task.heads) return;
  float2 of_split = {-CUDART_INF_F, 0};
  if (lane < kSplits) of_split = __ldcg(states + lane);
  const bool has_columns = column < partials.columns;
  float4 part[kSplits];
#pragma unroll
  for (int32_t i = 0; i < kSplits; ++i) {
    part[i] = has_columns ? __ldcg(sums + i * (partials.pitch / 4)) : float4{};
  }
  const float top = warp_max_or_nan(of_split.x);
  const float weight = expf(of_split.x - finite_top(top));
  const SoftmaxEnd end = end_head(p, task.head + h, top, warp_sum(of_split.y * weight));
  if (column == 0) write_numbers(p, task.t, task.head + h, top, end.lse);
  float4 all = {};
#pragma unroll
  for (int32_t i = 0; i < kSplits; ++i) {
    const float of_i = __shfl_sync(~0u, weight, i);
    if (of_i == 0) continue;  // whatever the sums are
    all.x += part[i].x * of_i, all.y += part[i].y * of_i;
    all.z += part[i].z * of_i, all.w += part[i].w * of_i;
  }
  if (!has_columns) return;
  all.x *= end.factor, all.y *= end.factor, all.z *= end.factor, all.w *= end.factor;
  write_four(row, dtype, stride, column, partials.columns, all);
}

#endif

}  // namespace dsa::cuda
