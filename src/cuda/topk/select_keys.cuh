// The k-th largest of keys in shared memory, by histograms over what is left of their range.
#pragma once

#include "cuda/topk/crossing.cuh"

namespace dsa::cuda::topk {

// The rank-th largest of shared.few_keys: by a warp, which counts for each how many reach it. Needs
// a barrier before; ends with one.
__device__ inline Threshold rank_few(int32_t n, int32_t rank, BlockShared& shared) {
  if (warp_id() == 0) {
    const uint32_t first = lane_id() < n ? shared.few_keys[lane_id()] : 0u;
    const uint32_t second = lane_id() + 32 < n ? shared.few_keys[lane_id() + 32] : 0u;
    int32_t reach_first = 0, reach_second = 0;
#pragma unroll 4
    for (int32_t j = 0; j < n; ++j) {
      const uint32_t key = shared.few_keys[j];
      reach_first += key >= first ? 1 : 0;
      reach_second += key >= second ? 1 : 0;
    }
    const uint32_t key = __reduce_max_sync(
        kAllLanes, max(reach_first >= rank ? first : 0u, reach_second >= rank ? second : 0u));
    const int32_t greater = __popc(__ballot_sync(kAllLanes, first > key)) +
                            __popc(__ballot_sync(kAllLanes, second > key));
    const int32_t equal = __popc(__ballot_sync(kAllLanes, first == key)) +
                          __popc(__ballot_sync(kAllLanes, second == key));
    if (lane_id() == 0) shared.few_threshold = {rank, key, rank - greater, equal};
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

// Among the keys that `each` gives to a function, a thread its own, those in [low, high]. The first
// histogram spans the whole range: keys that differ little take no more rounds than others.
// `exact`: the threshold is an element's own key; else it may lie below a range of keys that all
// belong to the selection, which saves a round. Needs a barrier before.
template <int kThreads, class Each>
__device__ Threshold select_keys(Each each, uint32_t low, uint32_t high, int32_t k, bool exact,
                                 BlockShared& shared) {
  Threshold result;
  int32_t rank = k;
  KeyRange range = {low, high - low};
  for (bool first = true;; first = false) {
    clear_bins<kThreads>(shared.bins);
    __syncthreads();
    each([&](uint32_t key) {
      if (range.has(key)) atomicAdd(&shared.bins[range.bin(key)], 1u);
    });
    __syncthreads();
    uint32_t total;
    const Crossing crossing = find_crossing<kThreads>(shared.bins, rank, total, shared);
    if (first) {
      if (total == 0) return result;
      rank = static_cast<int32_t>(min(static_cast<uint32_t>(k), total));
      result.count = rank;
    }
    rank -= crossing.above;
    range = range.of_bin(crossing.bin);
    if (range.size == 0) {
      result.key = range.low;
      result.quota = rank;
      result.equal = crossing.here;
      return result;
    }
    if (crossing.here == rank && !exact) {
      result.key = range.low - 1;
      return result;
    }
    if (crossing.here <= kFewKeys) {
      each([&](uint32_t key) {
        if (range.has(key)) shared.few_keys[atomicAdd(&shared.few, 1)] = key;
      });
      __syncthreads();
      const int32_t count = result.count;
      result = rank_few(crossing.here, rank, shared);
      result.count = count;
      return result;
    }
  }
}

}  // namespace dsa::cuda::topk
