// Elements of the caller's tensors as f32, whatever their dtype. Conversions to f32 are exact;
// those from it round to nearest even.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <cstdint>

#include "dsa.h"

namespace dsa::cuda {

__device__ inline float e4m3_to_f32(uint8_t bits) {
  __nv_fp8_e4m3 x;
  x.__x = bits;
  return static_cast<float>(x);
}

// Element i (in elements) from `base`.
__device__ inline float load_element(const char* base, int32_t dtype, int64_t i) {
  switch (dtype) {
    case DSA_F32:
      return reinterpret_cast<const float*>(base)[i];
    case DSA_F16:
      return __half2float(reinterpret_cast<const __half*>(base)[i]);
    case DSA_BF16:
      return __bfloat162float(reinterpret_cast<const __nv_bfloat16*>(base)[i]);
    default:
      return e4m3_to_f32(reinterpret_cast<const uint8_t*>(base)[i]);
  }
}

__device__ inline void store_element(char* base, int32_t dtype, int64_t i, float x) {
  switch (dtype) {
    case DSA_F32:
      reinterpret_cast<float*>(base)[i] = x;
      break;
    case DSA_F16:
      reinterpret_cast<__half*>(base)[i] = __float2half_rn(x);
      break;
    default:
      reinterpret_cast<__nv_bfloat16*>(base)[i] = __float2bfloat16_rn(x);
      break;
  }
}

}  // namespace dsa::cuda
