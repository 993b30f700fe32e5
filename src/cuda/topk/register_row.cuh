// A dense row in the registers of a block. Made for time: 11 key bits a histogram, mostly two of
// them, then the selection in order, through shared memory. The few microseconds of a row go by the
// number of instructions, executed (1000 a warp with 16 scores a thread) and fetched.
#pragma once

#include "cuda/topk/dense_row.cuh"
#include "cuda/topk/select_keys.cuh"
#include "cuda/topk/slab.cuh"

namespace dsa::cuda::topk {

struct RegisterShared {
  BlockShared block;  // its bins: first and third histogram
  alignas(16) uint32_t second[kBins + 4];
  int32_t cut;
};

// Then what is selected, as 16-bit places.
constexpr int32_t register_shared_bytes(int64_t selected) {
  return static_cast<int32_t>(sizeof(RegisterShared) + selected * sizeof(uint16_t));
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

// The threshold of k < all keys. Both histograms are clear, which a barrier has made known.
template <int kThreads, int kSlabs, int kCount>
__device__ Threshold register_threshold(const uint32_t (&keys)[kSlabs][kCount], int32_t used,
                                        const DenseCall& c, RegisterShared& shared) {
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
      const uint32_t range = digit == 1 ? 1u << 11 : 1u << 10;
#pragma unroll
      for (int32_t i = 0; i < kSlabs; ++i) {
        if (i >= used) break;
#pragma unroll
        for (int32_t e = 0; e < kCount; ++e) {
          // The others all go to one bin more: a branch would cost more.
          const uint32_t bin = (keys[i][e] - low) >> shift;
          atomicAdd(&bins[bin < range ? bin : kBins], 1u);
        }
      }
    }
    __syncthreads();
    // For the third: nobody reads the first any more.
    if (digit == 1) clear_bins<kThreads>(shared.block.bins);
    OwnBins<kThreads> own(bins);
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

// Rows of up to kThreads * kSlabs slabs. Both histograms are clear, which a barrier has made known.
template <class Element, int kThreads, int kSlabs>
__device__ void register_row(const DenseCall& c, int64_t row_number, const DenseRow& row,
                             RegisterShared& shared) {
  constexpr int32_t kCount = Element::kCount;
  uint16_t* const staged = reinterpret_cast<uint16_t*>(&shared + 1);
  const Element element(c.dtype);
  const Slice<Element> slice(row.first, row.n, 0, 1);
  // Slab i of a thread: a warp's slabs are neighbours, in the order (i, lane). All threads have the
  // same number of them, as few as the row's length, not its capacity, asks for.
  const int32_t used = (slice.end + kThreads - 1) / kThreads;
  const auto slab_of = [&](int32_t i) { return (warp_id() * used + i) * 32 + lane_id(); };
  uint4 slabs[kSlabs];
  if (slice.whole(0, used * kThreads)) {
    const uint4* const first = slice.slabs + slab_of(0);
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) {
      if (i < used) slabs[i] = __ldg(first + i * 32);
    }
  } else {
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) {
      if (i < used) slabs[i] = slice.load(slab_of(i));
    }
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
    threshold = register_threshold<kThreads>(keys, used, c, shared);
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
  uint32_t all;
  const uint32_t before = sum_of_warps<kThreads>(of_warp, all, shared.block);

  const int32_t quota = ties ? threshold.quota : 0;
  const int32_t count = static_cast<int32_t>(all >> 16) + quota;

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
  write_staged(c, row_number, staged, -slice.shift, count, threadIdx.x, kThreads);
  end_row(c, row_number, count, threadIdx.x, kThreads);
  if (c.wants_cut && count > 0 && threadIdx.x == 0) {
    write_cut(c.full, row_number, shared.cut - slice.shift);
  }
}

}  // namespace dsa::cuda::topk
