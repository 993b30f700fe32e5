// Pieces of a running softmax that kernels share. NaN is the largest logit here: once seen it stays
// in the maximum, and from there reaches sum, lse and every output.
#pragma once

#include <math_constants.h>

#include <cstdint>

namespace dsa::cuda {

// An order of floats as integers; the GPU's own NaN (0x7fffffff) comes last.
__device__ inline int32_t float_order(float x) {
  const int32_t bits = __float_as_int(x);
  return bits ^ ((bits >> 31) & 0x7fffffff);
}

__device__ inline float from_order(int32_t order) {
  return __int_as_float(order ^ ((order >> 31) & 0x7fffffff));
}

__device__ inline float max_or_nan(float a, float b) {
  return from_order(max(float_order(a), float_order(b)));
}

// Of the warp's lanes.
__device__ inline float warp_max_or_nan(float x) {
  return from_order(__reduce_max_sync(~0u, float_order(x)));
}

__device__ inline float warp_sum(float x) {
  for (int32_t step = 16; step > 0; step /= 2) x += __shfl_xor_sync(~0u, x, step);
  return x;
}

__device__ inline float exp2_approximate(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// What exponents are taken relative to: nothing yet seen, or only -inf, gives weights exp(-inf).
__device__ inline float finite_top(float top) { return top == -CUDART_INF_F ? 0.0f : top; }

}  // namespace dsa::cuda
