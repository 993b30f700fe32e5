// The bins of a first histogram: a score as f16, rounded to zero, without its last five bits. Five
// bits of mantissa are four times as fine as the upper 11 bits of an f32, so that few scores share
// a bin; what f16 cannot hold falls in the outermost bins or those around zero, in order too.
#pragma once

#include <cuda_fp16.h>

#include "cuda/ptx.cuh"
#include "cuda/topk/key.cuh"
#include "cuda/topk/select_keys.cuh"

namespace dsa::cuda::topk {

inline constexpr int32_t kBinBits = 5;             // of an f16 that one bin spans
inline constexpr int32_t kZeroBin = kBins / 2;     // of what rounds to 0
inline constexpr int32_t kNegInfBin = 0x3ff >> 5;  // -inf alone
inline constexpr int32_t kPosInfBin = 0xfc00 >> kBinBits;

// The first bin that a call selects of.
__device__ inline int32_t first_bin(uint32_t lowest) {
  return lowest <= kNegInfKey ? kNegInfBin : kNegInfBin + 1;
}

// Counts two scores in bins that are in the order of the halves' bits: sign, then magnitude. What
// rounds to either zero falls in the bin of 0, NaN in the last bin of the positive ones, whose
// scores are all NaN. Addresses come of the bits by shifts: this is what most instructions of a
// short row are for. Returns the halves, alike in a bin and unlike in others, which comparing them
// as numbers can tell of finite ones: none is a zero.
__device__ inline uint32_t count_halves(float first, float second, uint32_t bins) {
  static_assert(kBins == 1 << (16 - kBinBits));
  constexpr uint32_t kOfBins = 0x10001u * (0x10000u - (1u << kBinBits));  // of each half
  uint32_t halves;
  asm("cvt.rz.f16x2.f32 %0, %1, %2;" : "=r"(halves) : "f"(second), "f"(first));
  asm("add.f16x2 %0, %0, %1;" : "+r"(halves) : "r"(0));  // -0 as 0
  halves = (halves & kOfBins) | 0x10001u;
  count_shared(bins + (__byte_perm(halves, 0, 0x1044) >> (16 + kBinBits - 2)));  // halves << 16
  count_shared(bins + (halves >> (16 + kBinBits - 2)));
  return halves;
}

// What count_halves returns of two scores in a bin of finite numbers.
__device__ inline uint32_t halves_of_bin(int32_t bin) {
  const int32_t place = bin >= kZeroBin ? bin - kZeroBin : kBins - 1 - bin;
  return static_cast<uint32_t>(place) * (0x10001u << kBinBits) | 0x10001u;
}

// Where the bins from `lowest` on, `count` of a sign, stand among those of count_halves; negative
// ones in falling order.
__device__ inline int32_t place_of_halves(int32_t lowest, int32_t count) {
  return lowest >= kZeroBin ? lowest - kZeroBin : kBins - count - lowest;
}

// A thread's bins of count_halves, those of a call's selectable scores.
template <int kThreads>
__device__ OwnBins<kThreads> own_halves(const uint32_t* bins, uint32_t lowest_selectable) {
  constexpr int32_t kCount = OwnBins<kThreads>::kCount;
  const int32_t lowest = OwnBins<kThreads>::lowest();
  OwnBins<kThreads> own(bins, place_of_halves(lowest, kCount));
  if (lowest < kZeroBin) {
    own.reverse();
    own.drop_below(first_bin(lowest_selectable));
  }
  if (lowest + kCount == kBins) own.counts[kCount - 1] = 0;  // NaN
  return own;
}

// The least key of a bin, or of those after it.
__device__ inline uint32_t first_key_of_bin(int32_t bin) {
  const auto bits_of = [](int32_t half) {
    return __float_as_uint(__half2float(__ushort_as_half(static_cast<unsigned short>(half))));
  };
  if (bin > kPosInfBin) return kPosInfKey + 1;
  if (bin > kZeroBin) return bits_of((bin - kZeroBin) << kBinBits) | 0x80000000u;
  if (bin <= kNegInfBin) return kNegInfKey;
  // Numbers nearer to zero than the half before the bin.
  const int32_t before = bin == kZeroBin ? 1 : (kZeroBin - bin) << kBinBits;
  return ~(bits_of(before) | 0x80000000u) + 1;
}

__device__ inline KeyRange range_of_bin(int32_t bin) {
  const uint32_t low = first_key_of_bin(bin);
  return {low, first_key_of_bin(bin + 1) - 1 - low};
}

}  // namespace dsa::cuda::topk
