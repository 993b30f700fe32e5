// The query of 16 M heads as A operands of mma m16n8k16, in registers: of the columns that the warp
// owns, in the order in which the format hands out the keys' columns.
#pragma once

#include "cuda/attention/division.h"
#include "cuda/attention/mma/format.cuh"

namespace dsa::cuda {

class QueryRows {
 public:
  __device__ QueryRows(const SparseAttnParams& p, const AttnTask& task)
      : heads_(task.heads),
        first_width_(static_cast<int32_t>(p.q[0].extent[1])),
        width_(first_width_ + (p.q[1].given() ? static_cast<int32_t>(p.q[1].extent[1]) : 0)) {
#pragma unroll
    for (int32_t i = 0; i < 2; ++i) {
      const bool given = p.q[i].given();
      stride_[i] = p.q[given ? i : 0].stride[0] * 2;
      row_[i] = p.q[given ? i : 0].row(task.t) + task.head * stride_[i];
    }
  }

  // The A operand of one step, the 16 columns from `first` on, of m16 block m: of row l / 4, of the
  // row 8 further, and of both again, the pairs of columns that are this lane's: 4 c .. 4 c + 3
  // with kFours (c = l % 4), else 2 c, 2 c + 1 and 8 further. Every lane loads something, so that
  // the loads of all steps are under way together.
  template <bool kFours>
  __device__ void load(uint32_t (&a)[4], int32_t m, int32_t first) const {
    const bool second = first >= first_width_;
    const int32_t column = first - (second ? first_width_ : 0) + threadIdx.x % 4 * (kFours ? 4 : 2);
#pragma unroll
    for (int32_t row = 0; row < 2; ++row) {
      const int32_t h = m * 16 + threadIdx.x % 32 / 4 + row * 8;
      const bool inside = h < heads_ && first < width_;
      const char* at = (second ? row_[1] + h * stride_[1] : row_[0] + h * stride_[0]) + column * 2;
      if (!inside) at = row_[0];
      uint2 x;
      if constexpr (kFours) {
        x = *reinterpret_cast<const uint2*>(at);
      } else {
        x.x = *reinterpret_cast<const uint32_t*>(at);
        x.y = *reinterpret_cast<const uint32_t*>(at + 16);
      }
      a[row] = inside ? x.x : 0;
      a[row + 2] = inside ? x.y : 0;
    }
  }

 private:
  const int32_t heads_, first_width_, width_;
  const char* row_[2];
  int64_t stride_[2];  // bytes from a head to the next
};

// bf16 operands of `kSteps` steps into f16, each row times a power of two that brings its largest
// element to 2^14: what is lost is below 2^-38 of that one. `undo` gets the powers' inverses.
template <int kSteps, int kAll>
__device__ void query_to_f16(uint32_t (&a)[kAll][4], float (&undo)[2]) {
#pragma unroll
  for (int32_t row = 0; row < 2; ++row) {
    int32_t exponent = 15;
#pragma unroll
    for (int32_t i = 0; i < kSteps * 2; ++i) {
      const uint32_t pair = a[i / 2][i % 2 * 2 + row];
      exponent = max(exponent, exponent_of(__uint_as_float(pair << 16)));
      exponent = max(exponent, exponent_of(__uint_as_float(pair)));
    }
    exponent = max(exponent, __shfl_xor_sync(~0u, exponent, 1));
    exponent = max(exponent, __shfl_xor_sync(~0u, exponent, 2));
    const float factor = scale_down(exponent);
#pragma unroll
    for (int32_t i = 0; i < kSteps * 2; ++i) {
      uint32_t& pair = a[i / 2][i % 2 * 2 + row];
      pair = bits_of(__floats2half2_rn(__uint_as_float(pair << 16) * factor,
                                       __uint_as_float(pair & 0xffff0000u) * factor));
    }
    undo[row] = scale_up(exponent);
  }
}

}  // namespace dsa::cuda
