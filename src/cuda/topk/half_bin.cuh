// The bins of a first histogram: a score as f16, rounded to zero, without its last five bits. Five
// bits of mantissa are four times as fine as the upper 11 bits of an f32, so that few scores share
// a bin; what f16 cannot hold falls in the outermost bins or those around zero, in order too.
#pragma once

#include <cuda_fp16.h>

#include "cuda/topk/key.cuh"
#include "cuda/topk/select_keys.cuh"

namespace dsa::cuda::topk {

inline constexpr int32_t kBinBits = 5;             // of an f16 that one bin spans
inline constexpr int32_t kZeroBin = kBins / 2;     // its first score is 0
inline constexpr int32_t kNegInfBin = 0x3ff >> 5;  // -inf alone

// The first bin that a call selects of.
__device__ inline int32_t first_bin(uint32_t lowest) {
  return lowest <= kNegInfKey ? kNegInfBin : kNegInfBin + 1;
}

// Ordered f16 of two numbers, `second` in the upper half. -0 is not among them.
__device__ inline uint32_t ordered_halves(float first, float second) {
  uint32_t halves;
  asm("cvt.rz.f16x2.f32 %0, %1, %2;" : "=r"(halves) : "f"(second), "f"(first));
  // A half that rounds to -0 is that of a negative number, below the bin of zero.
  return halves ^ ((halves >> 15 & 0x00010001u) * 0x7fffu | 0x80008000u);
}
__device__ inline int32_t bin_of_first(uint32_t halves) {
  return static_cast<int32_t>(halves >> kBinBits & (kBins - 1));
}
__device__ inline int32_t bin_of_second(uint32_t halves) {
  return static_cast<int32_t>(halves >> (16 + kBinBits));
}

// The least key of a bin, or of those after it.
__device__ inline uint32_t first_key_of_bin(int32_t bin) {
  const auto bits_of = [](int32_t half) {
    return __float_as_uint(__half2float(__ushort_as_half(static_cast<unsigned short>(half))));
  };
  if (bin > (0xfc00 >> kBinBits)) return kPosInfKey + 1;
  if (bin >= kZeroBin) return bits_of((bin - kZeroBin) << kBinBits) | 0x80000000u;
  if (bin <= kNegInfBin) return kNegInfKey;
  // Numbers nearer to zero than the half before the bin.
  return ~(bits_of((kZeroBin - bin) << kBinBits) | 0x80000000u) + 1;
}

__device__ inline KeyRange range_of_bin(int32_t bin) {
  const uint32_t low = first_key_of_bin(bin);
  return {low, first_key_of_bin(bin + 1) - 1 - low};
}

// Counts a key of a selectable number, or kNoKey, which falls in bin 0.
__device__ inline int32_t half_bin(uint32_t key) {
  return key == kNoKey ? 0 : bin_of_first(ordered_halves(score_of(key), 0.0f));
}

}  // namespace dsa::cuda::topk
