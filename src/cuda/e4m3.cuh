// e4m3fn to f16 or bf16, four at a time. Both hold every e4m3 value exactly.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace dsa::cuda {

__device__ inline uint32_t bits_of(__half2 x) { return *reinterpret_cast<const uint32_t*>(&x); }
__device__ inline uint32_t bits_of(__nv_bfloat162 x) {
  return *reinterpret_cast<const uint32_t*>(&x);
}
__device__ inline __half2 half2_of(uint32_t bits) {
  return *reinterpret_cast<const __half2*>(&bits);
}

// For GPUs without the conversion (before sm_89). An e4m3 magnitude moved to f16's exponent and
// mantissa is the value times 2^-8 (the biases differ by 8), denormals too. Only NaN (0x7f) comes
// out as a number, 480; 146 times it is past f16's range, while 146 * 448 is not: inf * 0 makes it
// NaN.
__device__ inline uint32_t e4m3x2_to_f16x2_by_bits(uint32_t high_bytes) {
  const uint32_t moved = (high_bytes & 0x80008000u) | ((high_bytes & 0x7f007f00u) >> 1);
  const __half2 value = __hmul2(half2_of(moved), __float2half2_rn(256.0f));
  const __half2 test = __hmul2(value, __float2half2_rn(146.0f));
  return bits_of(__hfma2(test, __float2half2_rn(0.0f), value));
}

__device__ inline uint2 e4m3x4_to_f16x4_by_bits(uint32_t x) {
  return {e4m3x2_to_f16x2_by_bits(__byte_perm(x, 0, 0x1404)),
          e4m3x2_to_f16x2_by_bits(__byte_perm(x, 0, 0x3424))};
}

__device__ inline uint2 e4m3x4_to_f16x4(uint32_t x) {
#if __CUDA_ARCH__ >= 890
  uint2 y;
  asm("{\n"
      ".reg .b16 low, high;\n"
      "mov.b32 {low, high}, %2;\n"
      "cvt.rn.f16x2.e4m3x2 %0, low;\n"
      "cvt.rn.f16x2.e4m3x2 %1, high;\n"
      "}"
      : "=r"(y.x), "=r"(y.y)
      : "r"(x));
  return y;
#else
  return e4m3x4_to_f16x4_by_bits(x);
#endif
}

template <class T>
__device__ uint2 e4m3x4_to(uint32_t x);
template <>
__device__ inline uint2 e4m3x4_to<__half>(uint32_t x) {
  return e4m3x4_to_f16x4(x);
}
template <>
__device__ inline uint2 e4m3x4_to<__nv_bfloat16>(uint32_t x) {
  const uint2 y = e4m3x4_to_f16x4(x);
  return {bits_of(__float22bfloat162_rn(__half22float2(half2_of(y.x)))),
          bits_of(__float22bfloat162_rn(__half22float2(half2_of(y.y))))};
}

}  // namespace dsa::cuda
