// The query of 16 M heads as A operands of mma m16n8k16, in registers: of the columns that the warp
// owns, in the order in which the format hands out the keys' columns.
#pragma once

#include "cuda/attention/division.h"
#include "cuda/attention/mma/format.cuh"

namespace dsa::cuda {

class QueryRows {
 public:
  __device__ QueryRows(const SparseAttnParams& p, const AttnTask& task) : p_(p), task_(task) {
    row_[0] = p.q[0].row(task.t);
    row_[1] = p.q[1].given() ? p.q[1].row(task.t) : nullptr;
    adjacent_ = adjacent(p.q[0], row_[0]) && (!p.q[1].given() || adjacent(p.q[1], row_[1]));
  }

  // The A operand of one step, the 16 columns from `first` on, of m16 block m: of row l / 4, of the
  // row 8 further, and of both again, the pairs of columns that are this lane's: 4 c .. 4 c + 3
  // with kFours (c = l % 4), else 2 c, 2 c + 1 and 8 further.
  template <bool kFours>
  __device__ void load(uint32_t (&a)[4], int32_t m, int32_t first) const {
    const int32_t column = first + threadIdx.x % 4 * (kFours ? 4 : 2);
#pragma unroll
    for (int32_t row = 0; row < 2; ++row) {
      const int32_t h = m * 16 + threadIdx.x % 32 / 4 + row * 8;
      if (adjacent_) {
        load_adjacent<kFours>(a[row], a[row + 2], h, first, column);
      } else {
        a[row] = element(h, column) | element(h, column + 1) << 16;
        const int32_t second = column + (kFours ? 2 : 8);
        a[row + 2] = element(h, second) | element(h, second + 1) << 16;
      }
    }
  }

 private:
  // Whether 4 elements can be loaded as they lie, and no step has columns of both pieces.
  __device__ static bool adjacent(const RowTensor& q, const char* row) {
    return q.stride[1] == 1 && q.stride[0] % 4 == 0 && q.extent[1] % 16 == 0 &&
           reinterpret_cast<uintptr_t>(row) % 8 == 0;
  }

  template <bool kFours>
  __device__ void load_adjacent(uint32_t& low, uint32_t& high, int32_t h, int32_t first,
                                int32_t column) const {
    const int32_t width = static_cast<int32_t>(p_.q[0].extent[1]);
    const int32_t width2 = p_.q[1].given() ? static_cast<int32_t>(p_.q[1].extent[1]) : 0;
    const bool inside = h < task_.heads && first < width + width2;
    const bool second = first >= width;
    const int64_t stride = second ? p_.q[1].stride[0] : p_.q[0].stride[0];
    const char* at = (second ? row_[1] : row_[0]) + (task_.head + h) * stride * 2 +
                     (column - (second ? width : 0)) * 2;
    if (!inside) at = row_[0];  // read all the same: see element()
    uint2 x;
    if constexpr (kFours) {
      x = *reinterpret_cast<const uint2*>(at);
    } else {
      x.x = *reinterpret_cast<const uint32_t*>(at);
      x.y = *reinterpret_cast<const uint32_t*>(at + 16);
    }
    low = inside ? x.x : 0;
    high = inside ? x.y : 0;
  }

  // Element (h, column) of the query as it lies; 0 outside. Every lane loads something, so that the
  // loads of all steps are under way together.
  __device__ uint32_t element(int32_t h, int32_t column) const {
    const RowTensor& q = p_.q[0];
    const RowTensor& q2 = p_.q[1];
    const int32_t first = static_cast<int32_t>(q.extent[1]);
    const bool second = column >= first;
    const int32_t in_second = column - first;
    const bool inside = h < task_.heads && (!second || (q2.given() && in_second < q2.extent[1]));
    const int64_t head = task_.head + min(h, task_.heads - 1);
    const char* at = row_[0] + (head * q.stride[0] + column * q.stride[1]) * 2;
    if (second) at = row_[1] + (head * q2.stride[0] + in_second * q2.stride[1]) * 2;
    const uint32_t x = *reinterpret_cast<const uint16_t*>(inside ? at : row_[0]);
    return inside ? x : 0;
  }

  const SparseAttnParams& p_;
  const AttnTask& task_;
  const char* row_[2];
  bool adjacent_;
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
