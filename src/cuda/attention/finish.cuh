// The end of attention for one (row, head): what a block without splits and the merge of splits
// both write.
#pragma once

#include "core/params.h"
#include "cuda/attention/softmax_end.cuh"

namespace dsa::cuda {

__device__ inline SoftmaxEnd end_head(const SparseAttnParams& p, int32_t h, float top, float sum) {
  const float sink =
      p.sink ? *reinterpret_cast<const float*>(p.sink + h * p.sink_stride) : -CUDART_INF_F;
  return end_softmax(top, sum, sink, {p.lse_base2, p.lse_with_sink, p.lse_empty_pos_inf});
}

__device__ inline void write_numbers(const SparseAttnParams& p, int64_t t, int32_t h, float top,
                                     float lse) {
  if (p.lse.given()) p.lse.row_as<float>(t)[h * p.lse.stride[0]] = lse;
  if (p.max.given()) p.max.row_as<float>(t)[h * p.max.stride[0]] = top;
}

}  // namespace dsa::cuda
