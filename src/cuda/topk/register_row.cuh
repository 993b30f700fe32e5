// A dense row in the registers of a block or of a cluster. Made for time: 11 key bits a histogram,
// mostly two of them, then the selection in order, through shared memory. A score costs 17
// instructions, and instructions are what a row of 8K takes its time for.
#pragma once

#include "cuda/topk/cluster.cuh"
#include "cuda/topk/dense_row.cuh"
#include "cuda/topk/select_keys.cuh"
#include "cuda/topk/slab.cuh"

namespace dsa::cuda::topk {

struct RegisterShared {
  BlockShared block;  // its bins: first and third histogram
  alignas(16) uint32_t second[kBins];
  uint32_t selected;  // of the block's slice: greater << 16 | equal
  int32_t cut;
};

// Then what the block selects, as 16-bit places of its slice.
constexpr int32_t register_shared_bytes(int64_t selected) {
  return static_cast<int32_t>(sizeof(RegisterShared) + selected * sizeof(uint16_t));
}

// Barrier of the cluster, or of the block where that is all.
__device__ inline void barrier(int32_t ranks) {
  if (ranks == 1) {
    __syncthreads();
  } else {
    cluster_arrive();
    cluster_wait();
  }
}

// A counter for each of a thread's slabs, packed so that few scans do them all.
template <int kSlabs, int kCount>
struct SlabCounters {
  static constexpr int32_t kBits = kCount == 4 ? 8 : 16;  // a warp has 32 kCount in a slab
  static constexpr int32_t kOfWord = 32 / kBits;
  static constexpr int32_t kWords = (kSlabs + kOfWord - 1) / kOfWord;
  static constexpr uint32_t kMask = (1u << kBits) - 1;
  uint32_t words[kWords] = {};

  __device__ void add(int32_t slab, bool one) {
    if (one) words[slab / kOfWord] += 1u << slab % kOfWord * kBits;
  }
  __device__ int32_t get(int32_t slab) const {
    return static_cast<int32_t>(words[slab / kOfWord] >> slab % kOfWord * kBits & kMask);
  }
  // Of the lanes before this one; and of all.
  __device__ void scan(SlabCounters& before, SlabCounters& all) const {
#pragma unroll
    for (int32_t w = 0; w < kWords; ++w) {
      const uint32_t inclusive = warp_inclusive_sum(words[w]);
      before.words[w] = inclusive - words[w];
      all.words[w] = __shfl_sync(kAllLanes, inclusive, 31);
    }
  }
};

// The same bins of the other blocks of the cluster, all loads in flight at once.
template <int kThreads>
__device__ void add_remote(OwnBins<kThreads>& own, const uint32_t* bins, int32_t ranks) {
  constexpr int32_t kPairs = own.kCount / 2;
  const int32_t here = cluster_rank();
  uint2 pairs[kLargestCluster - 1][kPairs] = {};
#pragma unroll
  for (int32_t r = 1; r < kLargestCluster; ++r) {
    if (r >= ranks) break;
    const int32_t other = (here + r) & (ranks - 1);  // not all at the same one
#pragma unroll
    for (int32_t i = 0; i < kPairs; ++i) {
      pairs[r - 1][i] = load_remote_pair(&bins[own.lowest() + 2 * i], other);
    }
  }
#pragma unroll
  for (int32_t r = 1; r < kLargestCluster; ++r) {
#pragma unroll
    for (int32_t i = 0; i < kPairs; ++i) {
      own.counts[2 * i] += pairs[r - 1][i].x;
      own.counts[2 * i + 1] += pairs[r - 1][i].y;
    }
  }
}

// The threshold of k < all keys. Both histograms are clear, which a barrier has made known.
template <int kThreads, int kSlabs, int kCount>
__device__ Threshold register_threshold(const uint32_t (&keys)[kSlabs][kCount], int32_t used,
                                        const DenseCall& c, int32_t ranks, RegisterShared& shared) {
  Threshold result;
  result.key = c.lowest - 1;
  uint32_t low = 0;
  int32_t rank = c.k;
#pragma unroll 1
  for (int32_t digit = 0; digit < 3; ++digit) {
    uint32_t* const bins = digit == 1 ? shared.second : shared.block.bins;
    const int32_t shift = digit == 0 ? 21 : digit == 1 ? 10 : 0;
    if (digit == 0) {
#pragma unroll
      for (int32_t i = 0; i < kSlabs; ++i) {
        if (i >= used) break;
#pragma unroll
        for (int32_t e = 0; e < kCount; ++e) atomicAdd(&bins[keys[i][e] >> 21], 1u);
      }
    } else {
      const uint32_t range = digit == 1 ? 1u << 21 : 1u << 10;
#pragma unroll
      for (int32_t i = 0; i < kSlabs; ++i) {
        if (i >= used) break;
#pragma unroll
        for (int32_t e = 0; e < kCount; ++e) {
          const uint32_t above_low = keys[i][e] - low;
          if (above_low < range) atomicAdd(&bins[above_low >> shift], 1u);
        }
      }
    }
    barrier(ranks);
    // For the third: nobody reads the first any more.
    if (digit == 1) clear_bins<kThreads>(shared.block.bins);
    OwnBins<kThreads> own(bins);
    if (ranks > 1) add_remote(own, bins, ranks);
    if (digit == 0) {
      // What is never selected lies in bins of its own.
      const int32_t first = static_cast<int32_t>(c.lowest >> 21);
#pragma unroll
      for (int32_t i = 0; i < own.kCount; ++i) {
        if (own.lowest() + i < first) own.counts[i] = 0;
      }
    }
    uint32_t total;
    const Crossing crossing = find_crossing(own, rank, total, shared.block);
    if (total == 0) return result;
    if (digit == 0) {
      rank = static_cast<int32_t>(min(static_cast<uint32_t>(rank), total));
      result.count = rank;
    }
    rank -= crossing.above;
    low += static_cast<uint32_t>(crossing.bin) << shift;
    result.key = low;
    result.quota = rank;
    result.equal = crossing.here;
    if (digit < 2 && crossing.here == rank && !c.wants_cut) {
      result.key = low - 1;
      result.quota = result.equal = 0;
      break;
    }
  }
  return result;
}

// Slices have up to kThreads * kSlabs slabs. `ranks`: blocks that share the row.
template <class Element, int kThreads, int kSlabs>
__device__ void register_row(const DenseCall& c, int64_t row_number, const DenseRow& row,
                             int32_t ranks, RegisterShared& shared) {
  constexpr int32_t kCount = Element::kCount;
  uint16_t* const staged = reinterpret_cast<uint16_t*>(&shared + 1);
  const Element element(c.dtype);
  const int32_t rank = ranks == 1 ? 0 : cluster_rank();
  const Slice<Element> slice(row.first, row.n, rank, ranks);
  // Slab i of a thread: a warp's slabs are neighbours, in the order (i, lane). All threads have the
  // same number of them, as few as the row's length, not its capacity, asks for.
  const int32_t used = (slice.end - slice.begin + kThreads - 1) / kThreads;
  const auto slab_of = [&](int32_t i) { return (warp_id() * used + i) * 32 + lane_id(); };
  uint4 slabs[kSlabs];
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
    if (i < used) slabs[i] = slice.load(slice.begin + slab_of(i));
  }
  uint32_t keys[kSlabs][kCount];
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
    if (i >= used) break;
    float x[kCount];
    element.unpack(slabs[i], x);
#pragma unroll
    for (int32_t e = 0; e < kCount; ++e) keys[i][e] = key_of_number(x[e]);
    if (c.lowest <= kNegInfKey) {  // -inf is selected, NaN is not
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) {
        if (x[e] != x[e]) keys[i][e] = kNoKey;
      }
    }
  }

  Threshold threshold;
  threshold.key = c.lowest - 1;  // all that can be selected
  if (row.n > c.k || c.wants_cut) {
    threshold = register_threshold<kThreads>(keys, used, c, ranks, shared);
  }
  // Equal keys are counted apart only where some stay behind, or the last of them is wanted.
  const bool ties = threshold.quota < threshold.equal || c.wants_cut;
  const uint32_t least = threshold.quota > 0 && !ties ? threshold.key : threshold.key + 1;
  SlabCounters<kSlabs, kCount> greater, equal, greater_before, equal_before, greater_all, equal_all;
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
    if (i >= used) break;
#pragma unroll
    for (int32_t e = 0; e < kCount; ++e) greater.add(i, keys[i][e] >= least);
  }
  greater.scan(greater_before, greater_all);
  if (ties) {
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) {
      if (i >= used) break;
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) equal.add(i, keys[i][e] == threshold.key);
    }
    equal.scan(equal_before, equal_all);
  }
  uint32_t of_warp = 0;  // greater << 16 | equal: at most 32768 each
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
    of_warp +=
        static_cast<uint32_t>(greater_all.get(i)) << 16 | static_cast<uint32_t>(equal_all.get(i));
  }
  uint32_t of_slice;
  const uint32_t before = sum_of_warps<kThreads>(of_warp, of_slice, shared.block);

  // Selected in earlier slices, and in all.
  int32_t slice_greater = 0, slice_equal = 0, all_greater = static_cast<int32_t>(of_slice >> 16);
  if (ranks > 1) {
    if (threadIdx.x == 0) shared.selected = of_slice;
    barrier(ranks);
    const uint32_t other = lane_id() < ranks ? load_remote(&shared.selected, lane_id()) : 0;
    const bool earlier = lane_id() < rank;
    all_greater = static_cast<int32_t>(__reduce_add_sync(kAllLanes, other >> 16));
    slice_greater = static_cast<int32_t>(__reduce_add_sync(kAllLanes, earlier ? other >> 16 : 0));
    slice_equal = static_cast<int32_t>(__reduce_add_sync(kAllLanes, earlier ? other & 0xffffu : 0));
    cluster_arrive();  // nothing more is read of other blocks
  }
  const int32_t count = all_greater + (ties ? threshold.quota : 0);
  const int32_t quota = ties ? max(threshold.quota - slice_equal, 0) : 0;  // of this slice
  const int32_t own_count =
      static_cast<int32_t>(of_slice >> 16) + min(quota, static_cast<int32_t>(of_slice & 0xffffu));

  int32_t warp_greater = static_cast<int32_t>(before >> 16);
  int32_t warp_equal = static_cast<int32_t>(before & 0xffffu);
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
    if (i >= used) break;
    int32_t at = warp_greater + greater_before.get(i);
    const int32_t place = slab_of(i) * kCount;
    if (!ties) {
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) {
        if (keys[i][e] >= least) staged[at++] = static_cast<uint16_t>(place + e);
      }
    } else {
      int32_t equals = warp_equal + equal_before.get(i);
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) {
        const bool is_greater = keys[i][e] >= least;
        const bool is_equal = keys[i][e] == threshold.key;
        if (is_greater || (is_equal && equals < quota)) {
          staged[at + min(equals, quota)] = static_cast<uint16_t>(place + e);
        }
        if (is_equal && equals == quota - 1) shared.cut = place + e;
        at += is_greater ? 1 : 0;
        equals += is_equal ? 1 : 0;
      }
      warp_equal += equal_all.get(i);
    }
    warp_greater += greater_all.get(i);
  }
  __syncthreads();
  const int32_t first_key = slice.first_place() - slice.shift;
  const int32_t at = slice_greater + (ties ? min(slice_equal, threshold.quota) : 0);
  write_staged(c, row_number, staged, first_key, at, own_count, threadIdx.x, kThreads);
  if (rank == 0) end_row(c, row_number, count, threadIdx.x, kThreads);
  if (c.wants_cut && threadIdx.x == 0) {
    const int32_t equals = static_cast<int32_t>(of_slice & 0xffffu);
    if (quota > 0 && quota <= equals) write_cut(c.full, row_number, first_key + shared.cut);
  }
  if (ranks > 1) cluster_wait();
}

}  // namespace dsa::cuda::topk
