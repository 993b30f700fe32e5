// What differs between the formats of a tile: how fragments of keys and values come out of shared
// memory. A fragment is the B operand of mma m16n8k16: lane l holds, of column l / 4, the elements
// 2 (l % 4) and the next one (first register) and those 8 further (second).
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "cuda/attention/mma/rows.h"
#include "cuda/ptx.cuh"

namespace dsa::cuda {

__device__ inline void load_matrices_transposed(uint32_t (&to)[4], uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(row)
               : "memory");
}

// Four bytes of e4m3 as bf16, exactly: bytes 0 and 2 in `even`, 1 and 3 in `odd`. The bits moved to
// bf16's exponent and mantissa are the value times 2^-120 (denormals too). bf16, not f16, because P
// is multiplied by the keys' scales, which may be any f32.
struct Bf16Pairs {
  uint32_t even, odd;
};

__device__ inline __nv_bfloat162 as_bf16x2(uint32_t bits) {
  return *reinterpret_cast<const __nv_bfloat162*>(&bits);
}
__device__ inline uint32_t bits_of(__nv_bfloat162 x) {
  return *reinterpret_cast<const uint32_t*>(&x);
}

template <bool kKeepNan>
__device__ inline uint32_t rescale_moved(uint32_t moved) {
  const __nv_bfloat162 value = __hmul2(as_bf16x2(moved), __float2bfloat162_rn(0x1p120f));
  if constexpr (!kKeepNan) return bits_of(value);
  // NaN (0x7f) comes out as 480. Times 7.3e35 it is past bf16's range and 448 is not: inf * 0.
  const __nv_bfloat162 test = __hmul2(value, __float2bfloat162_rn(7.3e35f));
  return bits_of(__hfma2(test, __float2bfloat162_rn(0.0f), value));
}

template <bool kKeepNan>
__device__ inline Bf16Pairs e4m3x4_to_bf16(uint32_t x) {
  const uint32_t even = ((x << 4) & 0x07f007f0u) | ((x << 8) & 0x80008000u);
  const uint32_t odd = ((x >> 4) & 0x07f007f0u) | (x & 0x80008000u);
  return {rescale_moved<kKeepNan>(even), rescale_moved<kKeepNan>(odd)};
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

struct Fp8Format {
  using Element = __nv_bfloat16;
  static constexpr bool kIsFp8 = true;
  static constexpr float kWeightScale = 1.0f;

  // Even columns are in the first n-tile, odd ones in the second.
  __device__ static int32_t value_column(int32_t tile, int32_t i) {
    return threadIdx.x % 4 * 4 + i * 2 + tile;
  }
};

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
