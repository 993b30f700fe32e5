// A slice of a dense row in the registers of a block: read and counted, and written in order. Made
// for time: the few microseconds of a row go by the number of instructions, executed (1000 a warp
// with 16 scores a thread) and fetched.
#pragma once

#include "cuda/topk/dense_row.cuh"
#include "cuda/topk/select_keys.cuh"
#include "cuda/topk/slab.cuh"

namespace dsa::cuda::topk {

template <class Element, int kThreads, int kSlabs>
struct RegisterKeys {
  static constexpr int32_t kCount = Element::kCount;
  uint32_t keys[kSlabs][kCount];
  int32_t begin;  // the slice's first slab
  // All threads have the same number of slabs, as few as the row's length, not its capacity, asks
  // for.
  int32_t used;

  // A warp's slabs are neighbours, in the order (i, lane).
  __device__ int32_t slab_of(int32_t i) const {
    return begin + (warp_id() * used + i) * 32 + lane_id();
  }

  __device__ RegisterKeys(const DenseCall& c, const Slice<Element>& slice)
      : begin(slice.begin), used((slice.end - slice.begin + kThreads - 1) / kThreads) {
    const Element element(c.dtype);
    uint4 slabs[kSlabs];
    if (slice.whole(begin, begin + used * kThreads)) {
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
  }

  // Calls take(key) for all of them.
  template <class Take>
  __device__ void each(Take take) const {
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) {
      if (i >= used) break;
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) take(keys[i][e]);
    }
  }
};

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

// What a threshold takes: keys from `least` on and, where some keys equal to it stay behind or the
// last of them is wanted, the first `quota` of those.
struct Cutoff {
  bool ties;
  uint32_t least;
  uint32_t equal;
  int32_t quota;

  __device__ Cutoff(const Threshold& t, bool wants_cut)
      : ties(t.quota < t.equal || wants_cut),
        least(t.quota > 0 && !ties ? t.key : t.key + 1),
        equal(t.key),
        quota(ties ? t.quota : 0) {}
};

// Keys of a row before a slice: those from `least` on, and the ties.
struct KeysBefore {
  int32_t greater, equal;
};

// Writes what the slice has of the row's selection, through `staged`, and the row's cut if that is
// here; returns how many there are. `before()` is asked after a barrier. `cut` is -1, which a
// barrier has made known.
template <class Element, int kThreads, int kSlabs, class Before>
__device__ int32_t emit_keys(const DenseCall& c, int64_t row_number, int32_t shift,
                             const RegisterKeys<Element, kThreads, kSlabs>& own,
                             const Cutoff& cutoff, Before before, uint16_t* staged, int32_t& cut,
                             BlockShared& shared) {
  constexpr int32_t kCount = Element::kCount;
  SlabCounters<kSlabs, kCount> greater, equal, greater_before, equal_before, greater_all, equal_all;
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
    if (i >= own.used) break;
#pragma unroll
    for (int32_t e = 0; e < kCount; ++e) greater.add(i, own.keys[i][e] >= cutoff.least);
  }
  greater.scan(greater_before, greater_all);
  if (cutoff.ties) {
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) {
      if (i >= own.used) break;
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) equal.add(i, own.keys[i][e] == cutoff.equal);
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
  const uint32_t warps_before = sum_of_warps<kThreads>(of_warp, all, shared);
  const KeysBefore slices_before = before();
  const int32_t ties_before = min(slices_before.equal, cutoff.quota);
  const int32_t quota = cutoff.quota - ties_before;

  const int32_t count =
      static_cast<int32_t>(all >> 16) + min(static_cast<int32_t>(all & 0xffffu), quota);
  const int32_t first = slices_before.greater + ties_before;
  const int32_t first_key = own.begin * kCount - shift;
  int32_t warp_greater = static_cast<int32_t>(warps_before >> 16);
  int32_t warp_equal = static_cast<int32_t>(warps_before & 0xffffu);
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
    if (i >= own.used) break;
    int32_t at = warp_greater + greater_before.get(i);
    const int32_t place = (own.slab_of(i) - own.begin) * kCount;
    if (!cutoff.ties) {
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) {
        if (own.keys[i][e] >= cutoff.least) staged[at++] = static_cast<uint16_t>(place + e);
      }
    } else {
      int32_t equals = warp_equal + equal_before.get(i);
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) {
        const bool is_greater = own.keys[i][e] >= cutoff.least;
        const bool is_equal = own.keys[i][e] == cutoff.equal;
        if (is_greater || (is_equal && equals < quota)) {
          staged[at + min(equals, quota)] = static_cast<uint16_t>(place + e);
        }
        if (is_equal && equals == quota - 1) cut = place + e;
        at += is_greater ? 1 : 0;
        equals += is_equal ? 1 : 0;
      }
      warp_equal += equal_all.get(i);
    }
    warp_greater += greater_all.get(i);
  }
  __syncthreads();
  write_staged(c, row_number, first, staged, first_key, count, threadIdx.x, kThreads);
  if (c.wants_cut && cut >= 0 && threadIdx.x == 0) write_cut(c.full, row_number, first_key + cut);
  return count;
}

}  // namespace dsa::cuda::topk
