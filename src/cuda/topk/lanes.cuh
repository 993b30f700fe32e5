// Lanes of a warp that share a row: sums, extremes and ranks over `G` neighbours. All 32 lanes
// call.
#pragma once

#include "cuda/topk/crossing.cuh"
#include "cuda/topk/key.cuh"

namespace dsa::cuda::topk {

// What is counted, added to 2^23: then it stands in the low bits.
inline constexpr float kTally = 0x1p23f;
inline constexpr uint32_t kTallyBits = 0x4b000000u;
__device__ inline float counted(uint32_t tally_bits) {
  return __uint_as_float(tally_bits) - kTally;
}

template <int G>
struct Lanes {
  static_assert(G == 8 || G == 16 || G == 32);
  static constexpr int32_t kCount = G;

  __device__ int32_t lane() const { return lane_id() % G; }
  __device__ void sync() const { __syncwarp(); }
  // Of all rows that take part.
  __device__ bool any(bool x) const { return __any_sync(kAllLanes, x); }

  // How many are counted in all tallies.
  __device__ float sum(float tally) const {
    const uint32_t bits = __float_as_uint(tally);
    if constexpr (G == 32) {
      return counted((__reduce_add_sync(kAllLanes, bits) & 0x7fffffu) | kTallyBits);
    } else {
      // The warp's rows side by side, of 16 or 8 bits each.
      const uint32_t row = static_cast<uint32_t>(lane_id()) / G;
      const uint32_t to_row = G == 16 ? (row == 0 ? 0x4410u : 0x1044u) : 0x4444u ^ 4u << 4 * row;
      const uint32_t of_row = G == 16 ? (row == 0 ? 0x7410u : 0x7432u) : 0x7440u | row;
      const uint32_t all = __reduce_add_sync(kAllLanes, __byte_perm(bits, 0, to_row));
      return counted(__byte_perm(all, kTallyBits, of_row));
    }
  }
  // Of any two numbers: half of the lanes add up each of them.
  __device__ void sum(float& x, float& y) const {
    const bool upper = lane() >= G / 2;
    const float other = __shfl_xor_sync(kAllLanes, upper ? x : y, G / 2);
    const float own = sum_by_shuffles((upper ? y : x) + other, G / 2);
    x = __shfl_sync(kAllLanes, own, 0, G);
    y = __shfl_sync(kAllLanes, own, G / 2, G);
  }
  __device__ float largest(float x) const {
    if constexpr (G == 32) {
      return score_of(__reduce_max_sync(kAllLanes, ordered_key(x)));
    } else {
#pragma unroll
      for (int32_t step = 1; step < G; step *= 2) {
        x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, step));
      }
      return x;
    }
  }
  // Sum over the lanes before this one; `all` is that of all.
  __device__ int32_t sum_before(int32_t x, int32_t& all) const {
    int32_t inclusive = x;
#pragma unroll
    for (int32_t step = 1; step < G; step *= 2) {
      const int32_t other = __shfl_up_sync(kAllLanes, inclusive, step, G);
      if (lane() >= step) inclusive += other;
    }
    all = __shfl_sync(kAllLanes, inclusive, G - 1, G);
    return inclusive - x;
  }

 private:
  __device__ static float sum_by_shuffles(float x, int32_t end) {
#pragma unroll
    for (int32_t step = 1; step < end; step *= 2) x += __shfl_xor_sync(kAllLanes, x, step);
    return x;
  }
};

}  // namespace dsa::cuda::topk
