// The k-th largest of keys, by histograms over what is left of their range.
#pragma once

#include "cuda/topk/crossing.cuh"

namespace dsa::cuda::topk {

// The rank-th largest of shared.few_keys. Each is that of as many threads as there are, which count
// how many are above it. Needs a barrier before; ends with one.
template <int kThreads>
__device__ Threshold rank_few(int32_t n, int32_t rank, BlockShared& shared) {
  constexpr int32_t kParts = kThreads / kFewKeys;
  static_assert(kParts >= 1 && kParts <= 32);
  const int32_t own = static_cast<int32_t>(threadIdx.x) / kParts;
  if (warp_id() * 32 / kParts < n) {
    const uint32_t key = shared.few_keys[min(own, n - 1)];
    uint32_t counts = 0;  // greater, equal, and equal ones before it, of 10 bits each
#pragma unroll 1
    for (int32_t first = 0; first < n; first += 8 * kParts) {
#pragma unroll
      for (int32_t j = 0; j < 8; ++j) {
        const int32_t i = first + j * kParts + static_cast<int32_t>(threadIdx.x) % kParts;
        const uint32_t other = i < n ? shared.few_keys[i] : 0u;  // nobody's key
        if (other > key) counts += 1;
        if (other == key) counts += i < own ? (1u << 20) + (1u << 10) : 1u << 10;
      }
    }
#pragma unroll
    for (int32_t step = 1; step < kParts; step *= 2) {
      counts += __shfl_xor_sync(kAllLanes, counts, step);
    }
    const int32_t greater = static_cast<int32_t>(counts & 1023);
    const int32_t before = greater + static_cast<int32_t>(counts >> 20);
    if (own < n && before == rank - 1 && threadIdx.x % kParts == 0) {
      shared.few_threshold = {rank, key, rank - greater, static_cast<int32_t>(counts >> 10 & 1023)};
    }
  }
  __syncthreads();
  return shared.few_threshold;
}

// Keys [low, low + size], cut into 2048 equal bins at most.
struct KeyRange {
  uint32_t low = 0, size = 0;

  __device__ bool has(uint32_t key) const { return key - low <= size; }
  __device__ uint32_t bin(uint32_t key) const { return (key - low) >> shift(); }
  __device__ int32_t shift() const { return max(21 - __clz(size), 0); }
  __device__ KeyRange of_bin(int32_t bin) const {
    return {low + (static_cast<uint32_t>(bin) << shift()), (1u << shift()) - 1};
  }
};

// The least range of the keys in a range. After find_crossing; ends with a barrier.
template <int kThreads, class Source>
__device__ KeyRange narrow(const Source& source, const KeyRange& range, BlockShared& shared) {
  uint32_t least = ~0u, most = 0;
  source.within(range, [&](uint32_t key) {
    least = min(least, key);
    most = max(most, key);
  });
  least = __reduce_min_sync(kAllLanes, least);
  most = __reduce_max_sync(kAllLanes, most);
  if (lane_id() == 0) {
    atomicMin(&shared.least, least);
    atomicMax(&shared.most, most);
  }
  __syncthreads();
  return {shared.least, shared.most - shared.least};
}

// The rank-th largest of the `here` keys of a range, which source.within(range, take) gives to a
// function, a thread its own, and source.gather(range, shared) appends to shared.few_keys. `exact`:
// the threshold is an element's own key; else it may lie below a range of keys that all belong to
// the selection, which saves a round. The result's count is not set. After find_crossing. `spare`:
// clear bins, or nullptr.
template <int kThreads, class Source>
__device__ Threshold select_within(const Source& source, KeyRange range, int32_t here, int32_t rank,
                                   bool exact, uint32_t* spare, BlockShared& shared) {
  Threshold result;
#pragma unroll 1
  for (;;) {
    if (range.size == 0) {
      result.key = range.low;
      result.quota = rank;
      result.equal = here;
      return result;
    }
    if (here == rank && !exact) {
      result.key = range.low - 1;
      return result;
    }
    if (here <= kFewKeys) {
      source.gather(range, shared);
      __syncthreads();
      return rank_few<kThreads>(here, rank, shared);
    }
    if (here > 4 * kFewKeys) {  // a plateau, or scores that differ little
      range = narrow<kThreads>(source, range, shared);
      if (range.size == 0) continue;
    }
    uint32_t* const bins = spare ? spare : shared.bins;
    if (!spare) {
      clear_bins<kThreads>(bins);
      __syncthreads();
    }
    spare = nullptr;
    source.within(range, [&](uint32_t key) { atomicAdd(&bins[range.bin(key)], 1u); });
    __syncthreads();
    uint32_t total;
    const Crossing crossing = find_crossing<kThreads>(bins, rank, total, shared);
    range = range.of_bin(crossing.bin);
    here = crossing.here;
    rank -= crossing.above;
  }
}

// Keys that `each` gives to a function, a thread its own, as a source of select_within.
template <class Each>
struct KeySource {
  const Each& each;

  template <class Take>
  __device__ void within(const KeyRange& range, Take take) const {
    each([&](uint32_t key) {
      if (range.has(key)) take(key);
    });
  }
  __device__ void gather(const KeyRange& range, BlockShared& shared) const {
    within(range, [&](uint32_t key) { shared.few_keys[atomicAdd(&shared.few, 1)] = key; });
  }
};

// Among the keys that `each` gives to a function, a thread its own, those in [low, high]. The first
// histogram spans the whole range: keys that differ little take no more rounds than others. Needs a
// barrier before.
template <int kThreads, class Each>
__device__ Threshold select_keys(Each each, uint32_t low, uint32_t high, int32_t k, bool exact,
                                 BlockShared& shared) {
  const KeySource<Each> source = {each};
  const KeyRange all = {low, high - low};
  clear_bins<kThreads>(shared.bins);
  __syncthreads();
  source.within(all, [&](uint32_t key) { atomicAdd(&shared.bins[all.bin(key)], 1u); });
  __syncthreads();
  uint32_t total;
  const Crossing crossing = find_crossing<kThreads>(shared.bins, k, total, shared);
  if (total == 0) return {};
  const int32_t count = static_cast<int32_t>(min(static_cast<uint32_t>(k), total));
  Threshold result = select_within<kThreads>(source, all.of_bin(crossing.bin), crossing.here,
                                             count - crossing.above, exact, nullptr, shared);
  result.count = count;
  return result;
}

}  // namespace dsa::cuda::topk
