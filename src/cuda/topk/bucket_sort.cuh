// A block's sort of keys with a value each: one histogram over their range, then the rank within a
// bin by comparing all that are there. For keys that lie well spread.
#pragma once

#include "cuda/topk/radix_sort.cuh"

namespace dsa::cuda::topk {

inline constexpr int32_t kMostInBin = 32;

template <int kThreads, int kItems>
struct BucketShared {
  static constexpr int32_t kSize = kThreads * kItems;
  uint32_t bins[kSize];  // how many; then the place of the first
  uint32_t warp_sums[32];
};

// Whether key and value of `a` come before those of `b`.
__device__ inline bool comes_before(uint2 a, uint2 b) {
  return a.x < b.x || (a.x == b.x && a.y < b.y);
}

// Sorts the first `count` keys, in [0, 2^bits), and equal ones by value, into `pairs`; false, and
// nothing done, where a bin has too many. The bins are clear, which a barrier has made known. Ends
// with a barrier.
template <int kThreads, int kItems>
__device__ bool bucket_sort(const SortItems<kItems>& items, int32_t count, int32_t bits,
                            uint2* pairs, BucketShared<kThreads, kItems>& shared) {
  constexpr int32_t kSize = kThreads * kItems;
  constexpr int32_t kWarps = kThreads / 32;
  static_assert((kSize & (kSize - 1)) == 0);
  const int32_t shift = max(bits - (31 - __clz(kSize)), 0);
  uint32_t at[kItems];
#pragma unroll
  for (int32_t i = 0; i < kItems; ++i) {
    if (items.place(i) < count) at[i] = atomicAdd(&shared.bins[items.keys[i] >> shift], 1u);
  }
  __syncthreads();
  const int32_t first = static_cast<int32_t>(threadIdx.x) * kItems;
  uint32_t counts[kItems], sum = 0, most = 0;
#pragma unroll
  for (int32_t i = 0; i < kItems; ++i) {
    counts[i] = shared.bins[first + i];
    sum += counts[i];
    most = max(most, counts[i]);
  }
  const uint32_t inclusive = warp_inclusive_sum(sum);
  if (lane_id() == 31) shared.warp_sums[warp_id()] = inclusive;
  if (__syncthreads_or(most > kMostInBin)) return false;
  const bool is_before = lane_id() < warp_id() && lane_id() < kWarps;
  uint32_t before =
      __reduce_add_sync(kAllLanes, is_before ? shared.warp_sums[lane_id()] : 0u) + inclusive - sum;
#pragma unroll
  for (int32_t i = 0; i < kItems; ++i) {
    shared.bins[first + i] = before;
    before += counts[i];
  }
  __syncthreads();
#pragma unroll
  for (int32_t i = 0; i < kItems; ++i) {
    const uint32_t key = items.keys[i];
    if (items.place(i) < count) {
      pairs[shared.bins[key >> shift] + at[i]] = {key, static_cast<uint32_t>(items.values[i])};
    }
  }
  __syncthreads();
  uint2 own[kItems];
#pragma unroll
  for (int32_t i = 0; i < kItems; ++i) {
    if (items.place(i) >= count) continue;
    own[i] = pairs[items.place(i)];
    const int32_t bin = static_cast<int32_t>(own[i].x >> shift);
    const int32_t begin = static_cast<int32_t>(shared.bins[bin]);
    const int32_t end = bin + 1 < kSize ? static_cast<int32_t>(shared.bins[bin + 1]) : count;
    at[i] = static_cast<uint32_t>(begin);
#pragma unroll 1
    for (int32_t j = begin; j < end; ++j) at[i] += comes_before(pairs[j], own[i]) ? 1u : 0u;
  }
  __syncthreads();
#pragma unroll
  for (int32_t i = 0; i < kItems; ++i) {
    if (items.place(i) < count) pairs[at[i]] = own[i];
  }
  __syncthreads();
  return true;
}

}  // namespace dsa::cuda::topk
