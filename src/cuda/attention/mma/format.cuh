// What differs between the formats of a tile: how fragments of keys and values come out of shared
// memory. A fragment is the B operand of mma m16n8k16: lane l holds, of column l / 4, the elements
// 2 (l % 4) and the next one (first register) and those 8 further (second).
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "cuda/attention/mma/rows.h"
#include "cuda/e4m3.cuh"
#include "cuda/ptx.cuh"

namespace dsa::cuda {

__device__ inline void load_matrices_transposed(uint32_t (&to)[4], uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(row)
               : "memory");
}

// 16-bit elements. P is rounded to their type; f16 gets it times 2^15, so that small weights keep
// their digits.
template <class T>
struct PlainFormat {
  using Element = T;
  static constexpr bool kIsFp8 = false;
  static constexpr float kWeightScale = sizeof(T) == 2 && __is_same(T, __half) ? 32768.0f : 1.0f;

  // Column of V (in its 16) that accumulator i of n-tile `tile` holds.
  __device__ static int32_t value_column(int32_t tile, int32_t i) {
    return tile * 8 + threadIdx.x % 4 * 2 + i;
  }
};

// e4m3 is exact in f16, and so are q and P but for their range: q is scaled by a power of two of
// its own (a head, a warp's columns), P with the keys' scales by one of all scales so far (a
// group).
struct Fp8Format {
  using Element = __half;
  static constexpr bool kIsFp8 = true;
  static constexpr float kWeightScale = 1.0f;

  // Even columns are in the first n-tile, odd ones in the second.
  __device__ static int32_t value_column(int32_t tile, int32_t i) {
    return threadIdx.x % 4 * 4 + i * 2 + tile;
  }
};

// Exponents as f32 holds them, not below 15: powers near them stay in f32's range.
__device__ inline int32_t exponent_of(float x) { return max(__float_as_int(x) >> 23 & 0xff, 15); }
// 2^14 over the power of two of that exponent, and its inverse.
__device__ inline float scale_down(int32_t exponent) {
  return __int_as_float((268 - exponent) << 23);
}
__device__ inline float scale_up(int32_t exponent) { return __int_as_float((exponent - 14) << 23); }

// The even and the odd bytes of two rows' pairs {row 0: 0 1, row 1: 0 1}, as f16 pairs of a column.
struct ColumnPairs {
  uint32_t even, odd;
};
__device__ inline ColumnPairs e4m3_columns(uint32_t x) {
  const uint2 y = e4m3x4_to_f16x4(__byte_perm(x, 0, 0x3120));
  return {y.x, y.y};
}

template <class T>
__device__ T round_to(float x);
template <>
__device__ inline __half round_to<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ inline __nv_bfloat16 round_to<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

}  // namespace dsa::cuda
