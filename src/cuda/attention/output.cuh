// From the sums of 16 heads in shared memory to the outputs. Through shared memory because a warp
// has columns of all heads: so rows are written whole, and by a loop. Written straight from the
// registers it is 15 KB of code for every block to fetch, which a call of one query waits for.
#pragma once

#include "cuda/attention/division.h"
#include "cuda/element.cuh"

namespace dsa::cuda {

// 4 neighbouring columns; `at`: the first's address.
__device__ inline void store_four(char* at, int32_t dtype, float4 x) {
  if (dtype == DSA_F32) {
    *reinterpret_cast<float4*>(at) = x;
    return;
  }
  uint2 bits;
  if (dtype == DSA_BF16) {
    const __nv_bfloat162 low = __floats2bfloat162_rn(x.x, x.y);
    const __nv_bfloat162 high = __floats2bfloat162_rn(x.z, x.w);
    memcpy(&bits.x, &low, 4);
    memcpy(&bits.y, &high, 4);
  } else {
    const __half2 low = __floats2half2_rn(x.x, x.y), high = __floats2half2_rn(x.z, x.w);
    memcpy(&bits.x, &low, 4);
    memcpy(&bits.y, &high, 4);
  }
  *reinterpret_cast<uint2*>(at) = bits;
}

// Columns [c, c + 4) of one head, those below `columns`. `stride` in elements.
__device__ inline void write_four(char* out, int32_t dtype, int64_t stride, int32_t c,
                                  int32_t columns, float4 x) {
  const int64_t bytes = element_bytes(dtype);
  if (stride == 1 && columns % 4 == 0 &&
      (reinterpret_cast<uintptr_t>(out) & (4 * bytes - 1)) == 0) {
    store_four(out + c * bytes, dtype, x);
    return;
  }
  const float all[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
  for (int32_t i = 0; i < 4; ++i) {
    if (c + i < columns) store_element(out, dtype, (c + i) * stride, all[i]);
  }
}

// Columns [0, columns) of one head, times `factor`, by a warp.
__device__ inline void write_row(char* out, int32_t dtype, int64_t stride, const float* sums,
                                 int32_t columns, float factor) {
#pragma unroll 1
  for (int32_t c = threadIdx.x % 32 * 4; c < columns; c += 128) {
    float4 x = *reinterpret_cast<const float4*>(sums + c);
    x.x *= factor, x.y *= factor, x.z *= factor, x.w *= factor;
    write_four(out, dtype, stride, c, columns, x);
  }
}

}  // namespace dsa::cuda
