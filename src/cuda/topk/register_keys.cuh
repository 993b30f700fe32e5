// A slice of a dense row in the registers of a block: read and counted, and written in order. Made
// for time: the few microseconds of a row go by the number of instructions, executed (800 a warp
// with 16 scores a thread) and fetched.
#pragma once

#include "cuda/topk/dense_row.cuh"
#include "cuda/topk/half_bin.cuh"
#include "cuda/topk/select_keys.cuh"
#include "cuda/topk/slab.cuh"

namespace dsa::cuda::topk {

// The scores of a range of selectable keys.
struct ScoreRange {
  float low, high;

  __device__ explicit ScoreRange(const KeyRange& range) : low(score_of(range.low)) {
    constexpr uint32_t kNegZero = 0x7fffffff;  // nothing's key
    const uint32_t last = range.low + range.size;
    high = score_of(last == kNegZero ? last - 1 : last);
  }
  __device__ bool has(float x) const { return x >= low && x <= high; }
};

template <class Element, int kThreads, int kSlabs>
struct RegisterKeys {
  static constexpr int32_t kCount = Element::kCount;
  // Where registers are plenty.
  static constexpr bool kKeepsHalves = kSlabs * kCount <= 16;
  float x[kSlabs][kCount];
  uint32_t halves[kKeepsHalves ? kSlabs : 1][kCount / 2];
  int32_t begin;  // the slice's first slab
  // All lanes have `own` slabs, as few as the row's length asks for if that is known when they are
  // loaded; a warp uses those before the row's end.
  int32_t own, used;

  // A warp's slabs are neighbours, in the order (i, lane).
  __device__ int32_t slab_of(int32_t i) const {
    return begin + (warp_id() * own + i) * 32 + lane_id();
  }

  __device__ RegisterKeys(const DenseCall& c, const Slice<Element>& slice)
      : RegisterKeys(c, slice, (slice.end - slice.begin + kThreads - 1) / kThreads) {}

  __device__ RegisterKeys(const DenseCall& c, const Slice<Element>& slice, int32_t own_slabs)
      : begin(slice.begin), own(own_slabs), used(own_slabs) {
    const Element element(c.dtype);
    uint4 slabs[kSlabs];
    if (slice.whole(begin, begin + own * kThreads)) {
      const uint4* const first = slice.slabs + slab_of(0);
#pragma unroll
      for (int32_t i = 0; i < kSlabs; ++i) {
        if (i < own) slabs[i] = __ldg(first + i * 32);
      }
    } else {
#pragma unroll
      for (int32_t i = 0; i < kSlabs; ++i) {
        if (i < own) slabs[i] = slice.load(slab_of(i));
      }
    }
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) {
      if (i < own) element.unpack(slabs[i], x[i]);
    }
  }

  // The row ends before place `row_end`, which was not known when it was loaded.
  __device__ void end_at(int32_t row_end) {
    const int32_t first = begin + warp_id() * own * 32;  // slab of the warp
    const int32_t end = (row_end + kCount - 1) / kCount;
    used = min(max(end - first + 31, 0) / 32, own);
    if ((first + used * 32) * kCount <= row_end) return;
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) {
      if (i >= used) break;
      const int32_t left = row_end - slab_of(i) * kCount;
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) {
        if (e >= left) x[i][e] = __int_as_float(-1);  // NaN
      }
    }
  }

  // The first histogram: own_halves reads it.
  __device__ void count_all(uint32_t* to) {
    const uint32_t bins = shared_address(to);
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) {
      if (i >= used) break;
#pragma unroll
      for (int32_t e = 0; e < kCount; e += 2) {
        const uint32_t both = count_halves(x[i][e], x[i][e + 1], bins);
        if constexpr (kKeepsHalves) halves[i][e / 2] = both;
      }
    }
  }

  // Calls take(key) for the keys in a range of selectable ones.
  template <class Take>
  __device__ void within(const KeyRange& range, Take take) const {
    const ScoreRange scores(range);
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) {
      if (i >= used) break;
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) {
        if (scores.has(x[i][e])) take(ordered_key(x[i][e]));
      }
    }
  }

  // Appends them to shared.few_keys.
  __device__ void gather(const KeyRange& range, BlockShared& shared) const {
    const ScoreRange scores(range);
    uint32_t inside = 0;  // a bit for each
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) {
      if (i >= used) break;
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) {
        if (scores.has(x[i][e])) inside |= 1u << (i * kCount + e);
      }
    }
    append(inside, shared);
  }

  // Appends the keys of a bin of count_all.
  __device__ void gather_bin(int32_t bin, BlockShared& shared) const {
    static_assert(kKeepsHalves);
    const uint32_t wanted = halves_of_bin(bin);
    uint32_t inside = 0;
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) {
      if (i >= used) break;
#pragma unroll
      for (int32_t e = 0; e < kCount; e += 2) {
        const uint32_t first = 1u << (i * kCount + e);
        asm("{\n.reg .pred p, q;\nsetp.eq.f16x2 p|q, %1, %2;\n"
            "@p or.b32 %0, %0, %3;\n@q or.b32 %0, %0, %4;\n}"
            : "+r"(inside)
            : "r"(halves[i][e / 2]), "r"(wanted), "r"(first), "r"(first << 1));
      }
    }
    append(inside, shared);
  }

 private:
  __device__ void append(uint32_t inside, BlockShared& shared) const {
    if (inside == 0) return;
    int32_t at = atomicAdd(&shared.few, __popc(inside));
#pragma unroll 1
    for (; inside != 0; inside &= inside - 1) {
      shared.few_keys[at++] = ordered_key(pick(x, __ffs(inside) - 1));
    }
  }
};

// Adds `one` where x >= least: two instructions.
__device__ inline void count_from(float x, float least, uint32_t one, uint32_t& sum) {
  asm("{\n.reg .pred p;\nsetp.ge.f32 p, %1, %2;\n@p add.u32 %0, %0, %3;\n}"
      : "+r"(sum)
      : "f"(x), "f"(least), "r"(one));
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
  __device__ void add_from(int32_t slab, float x, float least) {
    count_from(x, least, 1u << slab % kOfWord * kBits, words[slab / kOfWord]);
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
// here; returns how many there are. `before()` is asked after a barrier.
template <class Element, int kThreads, int kSlabs, class Before>
__device__ int32_t emit_keys(const DenseCall& c, int64_t row_number, int32_t shift,
                             const RegisterKeys<Element, kThreads, kSlabs>& own,
                             const Cutoff& cutoff, Before before, uint16_t* staged,
                             BlockShared& shared) {
  constexpr int32_t kCount = Element::kCount;
  const float least = score_of(cutoff.least), tie = score_of(cutoff.equal);
  SlabCounters<kSlabs, kCount> greater, equal, greater_before, equal_before, greater_all, equal_all;
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
    if (i >= own.used) break;
#pragma unroll
    for (int32_t e = 0; e < kCount; ++e) greater.add_from(i, own.x[i][e], least);
  }
  greater.scan(greater_before, greater_all);
  if (cutoff.ties) {
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) {
      if (i >= own.used) break;
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) equal.add(i, own.x[i][e] == tie);
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
  // Few enough to be written one by one as they come.
  const bool direct = kThreads * kSlabs * kCount <= 8192 && c.plain &&
                      PlainOutput::has_indices_alone(c) && !cutoff.ties;
  int32_t* const out = c.indices + row_number * c.index_stride + first;
  int32_t warp_greater = static_cast<int32_t>(warps_before >> 16);
  int32_t warp_equal = static_cast<int32_t>(warps_before & 0xffffu);
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
    if (i >= own.used) break;
    int32_t at = warp_greater + greater_before.get(i);
    const int32_t place = (own.slab_of(i) - own.begin) * kCount;
    if (direct) {
      int32_t* to = out + at;
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) {
        if (own.x[i][e] >= least) *to++ = first_key + place + e;
      }
    } else if (!cutoff.ties) {
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) {
        if (own.x[i][e] >= least) staged[at++] = static_cast<uint16_t>(place + e);
      }
    } else {
      int32_t equals = warp_equal + equal_before.get(i);
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) {
        const bool is_greater = own.x[i][e] >= least;
        const bool is_equal = own.x[i][e] == tie;
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
  if (direct) return count;
  __syncthreads();
  write_staged(c, row_number, first, staged, first_key, count, threadIdx.x, kThreads);
  const bool has_cut = c.wants_cut && quota > 0 && quota <= static_cast<int32_t>(all & 0xffffu);
  if (has_cut && threadIdx.x == 0) write_cut(c.full, row_number, first_key + shared.cut);
  return count;
}

}  // namespace dsa::cuda::topk
