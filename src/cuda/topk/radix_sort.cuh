// A block's stable sort of keys with a value each, least digits first, as many as their range asks
// for. Ranks by ballots within a warp: A. Ashkiani et al., "GPU Multisplit" (2016).
#pragma once

#include "cuda/topk/crossing.cuh"

namespace dsa::cuda::topk {

inline constexpr int32_t kDigitBits = 8;
inline constexpr int32_t kDigits = 1 << kDigitBits;

// Item i of a thread stands at place (warp * kItems + i) * 32 + lane.
template <int kItems>
struct SortItems {
  uint32_t keys[kItems];
  int32_t values[kItems];

  __device__ static int32_t place(int32_t i) { return (warp_id() * kItems + i) * 32 + lane_id(); }
  __device__ void load(const uint2* pairs) {
#pragma unroll
    for (int32_t i = 0; i < kItems; ++i) {
      const uint2 pair = pairs[place(i)];
      keys[i] = pair.x;
      values[i] = static_cast<int32_t>(pair.y);
    }
  }
};

template <int kThreads>
struct RadixShared {
  static constexpr int32_t kWarps = kThreads / 32;
  // Items of a warp with a digit; then where the first of them goes.
  uint32_t counts[kWarps][kDigits];
  uint32_t of_warp[kDigits / 32];
};

// Lanes whose digit of `bits` bits is the same.
__device__ inline uint32_t lanes_with(uint32_t digit, int32_t bits) {
  uint32_t lanes = kAllLanes;
#pragma unroll 1
  for (int32_t b = 0; b < bits; ++b) {
    const bool one = digit >> b & 1;
    const uint32_t ones = __ballot_sync(kAllLanes, one);
    lanes &= one ? ones : ~ones;
  }
  return lanes;
}

// Turns counts into places. Begins and ends with a barrier.
template <int kThreads>
__device__ void sum_counts(RadixShared<kThreads>& shared) {
  constexpr int32_t kOf = (kDigits + kThreads - 1) / kThreads;
  constexpr int32_t kWarps = kThreads / 32;
  static_assert(kOf <= 2);
  __syncthreads();
  uint32_t sums[kOf] = {};
  uint32_t sum = 0;
  const int32_t first = static_cast<int32_t>(threadIdx.x) * kOf;
  if (first < kDigits) {
#pragma unroll
    for (int32_t d = 0; d < kOf; ++d) {
#pragma unroll
      for (int32_t w = 0; w < kWarps; ++w) {
        const uint32_t count = shared.counts[w][first + d];
        shared.counts[w][first + d] = sums[d];
        sums[d] += count;
      }
      sum += sums[d];
    }
  }
  const uint32_t inclusive = warp_inclusive_sum(sum);
  if (lane_id() == 31 && warp_id() < kDigits / 32) shared.of_warp[warp_id()] = inclusive;
  __syncthreads();
  if (first < kDigits) {
    uint32_t before = inclusive - sum;
    for (int32_t w = 0; w < warp_id(); ++w) before += shared.of_warp[w];
#pragma unroll
    for (int32_t d = 0; d < kOf; ++d) {
#pragma unroll
      for (int32_t w = 0; w < kWarps; ++w) shared.counts[w][first + d] += before;
      before += sums[d];
    }
  }
  __syncthreads();
}

// Sorts by bits [0, bits) of the keys, ascending, into `pairs`: key and value. Ends with a barrier.
template <int kThreads, int kItems>
__device__ void radix_sort(SortItems<kItems>& items, int32_t bits, uint2* pairs,
                           RadixShared<kThreads>& shared) {
  uint32_t* const counts = shared.counts[warp_id()];
  const int32_t passes = max((bits + kDigitBits - 1) / kDigitBits, 1);
  const uint32_t lower = (1u << lane_id()) - 1;
#pragma unroll 1
  for (int32_t pass = 0, shift = 0; pass < passes; ++pass) {
    const int32_t width = (bits - shift) / (passes - pass);
    const uint32_t mask = (1u << width) - 1;
#pragma unroll
    for (int32_t d = 0; d < kDigits / 32; ++d) counts[d * 32 + lane_id()] = 0;
    __syncwarp();
    if (pass > 0) items.load(pairs);
    uint32_t ranks[kItems];  // among the warp's of that digit
#pragma unroll
    for (int32_t i = 0; i < kItems; ++i) {
      const uint32_t digit = items.keys[i] >> shift & mask;
      const uint32_t lanes = lanes_with(digit, width);
      const uint32_t before = counts[digit];
      __syncwarp();
      ranks[i] = before + __popc(lanes & lower);
      if ((lanes & lower) == 0) counts[digit] = before + __popc(lanes);
      __syncwarp();
    }
    sum_counts(shared);
#pragma unroll
    for (int32_t i = 0; i < kItems; ++i) {
      const uint32_t digit = items.keys[i] >> shift & mask;
      pairs[counts[digit] + ranks[i]] = {items.keys[i], static_cast<uint32_t>(items.values[i])};
    }
    __syncthreads();
    shift += width;
  }
}

}  // namespace dsa::cuda::topk
