// The k-th largest of keys in shared memory, by histograms over what is left of their range.
#pragma once

#include "cuda/topk/crossing.cuh"

namespace dsa::cuda::topk {

// The selection: every key above `key`, and the first `quota` equal to it.
struct Threshold {
  int32_t count = 0;  // selected
  uint32_t key = 0;
  int32_t quota = 0;
  int32_t equal = 0;  // how many there are
};

// Among key(i), i < n, that are in [low, high]. The first histogram spans the whole range: keys
// that differ little take no more rounds than others. `exact`: the threshold is an element's own
// key; else it may lie below a range of keys that all belong to the selection, which saves a round.
// Needs a barrier before.
template <int kThreads, class Key>
__device__ Threshold select_keys(int32_t n, Key key, uint32_t low, uint32_t high, int32_t k,
                                 bool exact, BlockShared& shared) {
  Threshold result;
  int32_t rank = k;
  uint32_t range = high - low;
  for (bool first = true;; first = false) {
    const int32_t shift = max(21 - __clz(range), 0);
    clear_bins<kThreads>(shared.bins);
    __syncthreads();
    for (int32_t i = threadIdx.x; i < n; i += kThreads) {
      const uint32_t above_low = key(i) - low;
      if (above_low <= range) atomicAdd(&shared.bins[above_low >> shift], 1u);
    }
    __syncthreads();
    uint32_t total;
    const Crossing crossing = find_crossing<kThreads>(shared.bins, rank, total, shared);
    if (first) {
      if (total == 0) return result;
      rank = static_cast<int32_t>(min(static_cast<uint32_t>(k), total));
      result.count = rank;
    }
    rank -= crossing.above;
    low += static_cast<uint32_t>(crossing.bin) << shift;
    if (shift == 0) {
      result.key = low;
      result.quota = rank;
      result.equal = crossing.here;
      return result;
    }
    if (crossing.here == rank && !exact) {
      result.key = low - 1;
      return result;
    }
    range = (1u << shift) - 1;
  }
}

}  // namespace dsa::cuda::topk
