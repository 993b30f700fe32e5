// Scores as unsigned integers of the same order, which histograms and radix passes work on.
#pragma once

#include "cuda/topk/key_range.h"

namespace dsa::cuda::topk {

// Both zeros give the same key.
__device__ inline uint32_t ordered_key(float x) {
  uint32_t bits = __float_as_uint(x);
  if (bits == 0x80000000u) bits = 0;
  return bits ^ (static_cast<uint32_t>(static_cast<int32_t>(bits) >> 31) | 0x80000000u);
}

// The score that has this key (+0 for both zeros).
__device__ inline float score_of(uint32_t key) {
  return __uint_as_float(key & 0x80000000u ? key ^ 0x80000000u : ~key);
}

// kNoKey for what is never selected; `lowest` is that of the call.
__device__ inline uint32_t selectable_key(float x, uint32_t lowest) {
  const uint32_t key = ordered_key(x);
  return key < lowest || key > kPosInfKey ? kNoKey : key;
}

// NaN as -inf, for calls that select neither, and -0 as +0.
__device__ inline float as_number(float x) { return fmaxf(x, -__builtin_inff()) + 0.0f; }
__device__ inline uint32_t key_of_number(float x) {
  const uint32_t bits = __float_as_uint(as_number(x));
  return bits ^ (static_cast<uint32_t>(static_cast<int32_t>(bits) >> 31) | 0x80000000u);
}

}  // namespace dsa::cuda::topk
