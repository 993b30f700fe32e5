// What differs between the formats of a tile: how fragments of keys and values come out of shared
// memory. A fragment is the B operand of mma m16n8k16: lane l holds, of column l / 4, the elements
// 2 (l % 4) and the next one (first register) and those 8 further (second).
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "cuda/attention/rows.h"
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

  // Neighbouring columns of V that a lane has of a unit: 2 of each n-tile.
  static constexpr int32_t kRun = 2;
};

// e4m3 is exact in f16 and in bf16. Logits take f16, which the hardware converts to: q is exact
// there after a power of two. Values take bf16, since P times the keys' scales may be any f32.
struct Fp8Format {
  using Element = __nv_bfloat16;
  static constexpr bool kIsFp8 = true;
  static constexpr float kWeightScale = 1.0f;

  // Even columns are in the first n-tile, odd ones in the second: 4 neighbours.
  static constexpr int32_t kRun = 4;
};

// Exponents as f32 holds them, not below 15: powers near them stay in f32's range.
__device__ inline int32_t exponent_of(float x) { return max(__float_as_int(x) >> 23 & 0xff, 15); }
// 2^14 over the power of two of that exponent, and its inverse.
__device__ inline float scale_down(int32_t exponent) {
  return __int_as_float((268 - exponent) << 23);
}
__device__ inline float scale_up(int32_t exponent) { return __int_as_float((exponent - 14) << 23); }

// Bytes 0 and 2, and 1 and 3, as bf16 pairs: of the pairs of two keys that a transposed load gives,
// the even and the odd columns. Bits moved to bf16's exponent and mantissa are the value times
// 2^-120 (denormals too). NaN comes out as 480: the logits have met it before.
struct ColumnPairs {
  uint32_t even, odd;
};
__device__ inline uint32_t rescale_moved(uint32_t bits) {
  __nv_bfloat162 moved;
  memcpy(&moved, &bits, 4);
  return bits_of(__hmul2(moved, __float2bfloat162_rn(0x1p120f)));
}
__device__ inline ColumnPairs e4m3_columns(uint32_t x) {
  return {rescale_moved(((x << 4) & 0x07f007f0u) | ((x << 8) & 0x80008000u)),
          rescale_moved(((x >> 4) & 0x07f007f0u) | (x & 0x80008000u))};
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
