// A short dense row: what several lanes of a warp hold of it, and its selection.
#pragma once

#include "cuda/ptx.cuh"
#include "cuda/topk/dense_row.cuh"
#include "cuda/topk/find_threshold.cuh"
#include "cuda/topk/slab.cuh"

namespace dsa::cuda::topk {

static __device__ __noinline__ DenseRow any_row(const DenseCall& c, uint32_t row_number) {
  return dense_row(c, row_number);
}

// Row `row_number` of the call; none beyond the last. Waits for what the previous kernel writes.
__device__ inline DenseRow short_row(const DenseCall& c, uint32_t row_number) {
  DenseRow row = {};
  const bool known = has_one_length(c);
  if (known && row_number < c.row_count) {
    row = {c.scores + row_number * c.score_stride, c.length};
  }
  wait_for_previous();
  if (!known && row_number < c.row_count) row = any_row(c, row_number);
  return row;
}

// The slabs of a row of at most `places`: those that it lies in, or, where it would need one more
// than there are, as if it began with the first.
template <class Element>
class ShortSlabs {
 public:
  __device__ ShortSlabs(const DenseRow& row, int32_t places)
      : slice_(row.first, row.n), row_(row), shifts_(slice_.row_end <= places) {}

  // Place of key 0.
  __device__ int32_t shift() const { return shifts_ ? slice_.shift : 0; }
  __device__ bool whole(int32_t slabs) const {
    return slice_.shift == 0 && slabs * Element::kCount <= row_.n;
  }
  __device__ const uint4* at(int32_t slab) const {
    return reinterpret_cast<const uint4*>(row_.first) + slab;
  }
  // Any of them; what lies outside the row is NaN.
  __device__ uint4 load(int32_t slab) const {
    if (shifts_) return slice_.load(slab);
    uint4 x = {~0u, ~0u, ~0u, ~0u};
    unsigned short* const to = reinterpret_cast<unsigned short*>(&x);
    const unsigned short* const from = reinterpret_cast<const unsigned short*>(row_.first);
    const int32_t end = row_.n * (8 / Element::kCount);
#pragma unroll
    for (int32_t i = 0; i < 8; ++i) {
      if (slab * 8 + i < end) to[i] = __ldg(from + slab * 8 + i);
    }
    return x;
  }

 private:
  Slice<Element> slice_;
  DenseRow row_;
  bool shifts_;
};

template <int kSlabs>
struct Slabs {
  uint4 of[kSlabs];
};

template <class Element, int kSlabs>
static __device__ __noinline__ Slabs<kSlabs> load_any(DenseRow row, int32_t places, int32_t slab) {
  const ShortSlabs<Element> from(row, places);
  Slabs<kSlabs> slabs;
#pragma unroll 1
  for (int32_t i = 0; i < kSlabs; ++i) slabs.of[i] = from.load(slab + i);
  return slabs;
}

// Thread `lane`'s M scores of a row of at most `places`, which begin at place lane * M.
template <class Element, int M>
__device__ OwnScores<HeldScores<M>> load_scores(const DenseRow& row, int32_t places,
                                                const Element& element, int32_t lane) {
  constexpr int32_t kOfSlab = Element::kCount, kSlabs = M / kOfSlab;
  const ShortSlabs<Element> from(row, places);
  Slabs<kSlabs> slabs;
  const int32_t slab = lane * kSlabs;
  if (from.whole(slab + kSlabs)) {
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) slabs.of[i] = __ldg(from.at(slab + i));
  } else {
    slabs = load_any<Element, kSlabs>(row, places, slab);
  }
  OwnScores<HeldScores<M>> own;
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
    float x[kOfSlab];
    element.unpack(slabs.of[i], x);
#pragma unroll
    for (int32_t e = 0; e < kOfSlab; ++e) own.x[i * kOfSlab + e] = x[e];
  }
  return own;
}

static __device__ __noinline__ void end_short_any(const DenseCall& c, uint32_t row_number,
                                                  uint32_t staged, int32_t count, int32_t thread,
                                                  int32_t threads) {
  const uint16_t* const keys = static_cast<const uint16_t*>(__cvta_shared_to_generic(staged));
  write_staged(c, row_number, 0, keys, 0, count, thread, threads);
  end_row(c, row_number, count, thread, threads);
}

// Writes the keys at `staged` in shared memory, `count` of them, and what else a row has but its
// cut.
__device__ inline void end_short(const DenseCall& c, uint32_t row_number, uint32_t staged,
                                 int32_t count, int32_t thread, int32_t threads) {
  if (!c.plain || !PlainOutput::has_indices_alone(c) || c.width > INT32_MAX) {
    return end_short_any(c, row_number, staged, count, thread, threads);
  }
  int32_t* const out = c.indices + row_number * c.index_stride;
#pragma unroll 1
  for (int32_t i = thread; i < static_cast<int32_t>(c.width); i += threads) {
    uint16_t key = 0;
    if (i < count) {
      asm volatile("ld.shared.u16 %0, [%1];" : "=h"(key) : "r"(staged + i * 2) : "memory");
    }
    out[i] = i < count ? key : -1;
  }
  if (c.counts) {
    if (thread == 0) c.counts[row_number * c.count_stride] = count;
  }
}

// Of the scores from `threshold` on, of which there are more than k, those above it and the first
// that are equal to it.
template <class Row, class Own>
__device__ __noinline__ typename Own::Set take_first(const Row& row, Own own, float threshold,
                                                     int32_t k, typename Own::Set taken) {
  const typename Own::Set above = own.from(next_score(threshold));
  typename Own::Set equal = taken.without(above);
  int32_t count, above_count, equal_count;
  row.sum_before(taken.count(), count);
  row.sum_before(above.count(), above_count);
  const int32_t before = row.sum_before(equal.count(), equal_count);
  if (count <= k) return taken;
  equal.keep_first(k - above_count - before);
  return equal.with(above);
}

// The number of the last one taken, in (score, index) order, -1 of none; `first` is that of the
// thread's first score.
template <class Row, class Own>
__device__ __noinline__ int32_t last_taken(const Row& row, Own own, typename Own::Set taken,
                                           int32_t first) {
  const float least = -row.largest(-own.least_of(taken));
  const int32_t last = own.last_equal(taken, least);
  return static_cast<int32_t>(row.largest(last < 0 ? -1.0f : static_cast<float>(first + last)));
}

// Selects of a row of n, whose key `first` is the thread's first score. `staged` is the row's.
template <class Row, class Own>
__device__ void select_short(const DenseCall& c, uint32_t row_number, const Row& row,
                             const Own& own, int32_t n, int32_t first, const NormalRank& rank,
                             uint16_t* staged) {
  const float lowest = c.lowest <= kNegInfKey ? -__builtin_inff() : -kLargestScore;
  float threshold = lowest;
  if (row.any(n > c.k)) {
    const float found =
        find_threshold(row, own, static_cast<float>(c.k), static_cast<float>(n), lowest, rank);
    if (n > c.k) threshold = found;
  }
  typename Own::Set taken = own.from(threshold);
  int32_t count;
  int32_t at = row.sum_before(taken.count(), count);
  if (row.any(count > c.k)) {
    taken = take_first(row, own, threshold, c.k, taken);
    at = row.sum_before(taken.count(), count);
  }
  const uint32_t staged_keys = shared_address(staged);
  taken.store_before(staged_keys + (at + taken.count()) * 2, first);
  int32_t cut = -1;
  if (c.wants_cut) cut = last_taken(row, own, taken, first);
  row.sync();
  if (row_number >= c.row_count) return;
  end_short(c, row_number, staged_keys, count, row.lane(), Row::kCount);
  if (cut >= 0 && row.lane() == 0) write_cut(c.full, row_number, cut);
}

}  // namespace dsa::cuda::topk
