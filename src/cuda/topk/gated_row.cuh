// A dense row read once: a gate from a sample, the elements above it in a list, the exact selection
// in there, written in order through a bitmap of places.
#pragma once

#include <algorithm>

#include "cuda/topk/bitmap.cuh"
#include "cuda/topk/dense_row.cuh"
#include "cuda/topk/filter.cuh"
#include "cuda/topk/register_row.cuh"
#include "cuda/topk/stream_row.cuh"

namespace dsa::cuda::topk {

inline constexpr int32_t kLargestGatedK = 2048;
// What passes the gate shall leave room for the sample's bad luck.
inline constexpr int32_t kMostWanted = 4096;

struct GatedShared {
  alignas(16) Entry list[kListCapacity];  // a short row's: what is selected
  ListHead head;
  BlockShared block;
};

// Dynamic shared memory: GatedShared, whose bins a bitmap of the row's places follows: it takes
// their place and more.
constexpr int64_t gated_shared_bytes(int64_t max_length) {
  constexpr int64_t kBinsBytes = sizeof(BlockShared::bins);
  return static_cast<int64_t>(sizeof(GatedShared)) - kBinsBytes +
         std::max(kBinsBytes, bitmap_bytes(max_length));
}

// Puts the first `quota` elements of the row that equal the gate behind the list's `size`.
template <int kThreads, class Element>
__device__ __noinline__ void append_equal(const char* first, int32_t n, int32_t shift,
                                          Element element, float gate, int32_t quota, int32_t size,
                                          Entry* list, BlockShared& shared) {
  int32_t found = 0;
  for (int32_t tile = 0; tile < n && found < quota; tile += kThreads) {
    const int32_t j = tile + static_cast<int32_t>(threadIdx.x);
    const bool is_equal = j < n && element.at(first, j) == gate;
    __syncthreads();
    uint32_t total;
    const int32_t rank =
        found + static_cast<int32_t>(exclusive_sum<kThreads>(is_equal, total, shared));
    if (is_equal && rank < quota) list[size + rank] = {ordered_key(gate), j + shift};
    found += static_cast<int32_t>(total);
  }
  __syncthreads();
}

// What is selected of the list: keys above `key`, and those equal to it up to `last_place`.
struct Selected {
  uint32_t key;
  int32_t last_place;

  __device__ bool takes(const Entry& x) const {
    return x.key > key || (x.key == key && x.place <= last_place);
  }
};

// The quota-th smallest place among the entries of a key, or the largest of fewer; `found` is how
// many. All places are below `after`. Needs a barrier before.
template <int kThreads>
__device__ int32_t last_tie(const Entry* list, int32_t size, uint32_t key, int32_t after,
                            int32_t quota, int32_t& found, BlockShared& shared) {
  const auto each = [&](auto count) {
    for (int32_t j = threadIdx.x; j < size; j += kThreads) {
      const Entry x = list[j];
      if (x.key == key) count(static_cast<uint32_t>(after - x.place));
    }
  };
  const Threshold last =
      select_keys<kThreads>(each, 1u, static_cast<uint32_t>(after), quota, true, shared);
  found = last.count;
  return after - static_cast<int32_t>(last.key);
}

// Calls write(at, place) for what is selected, `at` counted in order of places from
// `first_place` on. The bitmap is clear, which a barrier has made known.
template <int kThreads, class Write>
__device__ void for_selected(const Entry* list, int32_t size, const Selected& selected,
                             const Bitmap& bitmap, int32_t first_place, BlockShared& shared,
                             Write write) {
#pragma unroll 2
  for (int32_t i = threadIdx.x; i < size; i += kThreads) {
    const Entry x = list[i];
    if (selected.takes(x)) bitmap.set(x.place - first_place);
  }
  __syncthreads();
  bitmap.sum<kThreads>(shared);
  __syncthreads();
#pragma unroll 1
  for (int32_t i = threadIdx.x; i < size; i += kThreads) {
    const Entry x = list[i];
    if (selected.takes(x)) write(bitmap.rank(x.place - first_place), x.place);
  }
}

// for_selected into outputs of any kind, from element `first` on.
template <int kThreads>
__device__ __noinline__ void write_selected_any(const TopkCall& call, int64_t row_number,
                                                const Entry* list, int32_t size, Selected selected,
                                                Bitmap bitmap, int32_t first_place, int32_t first,
                                                int32_t shift, BlockShared& shared) {
  const RowScores row(call.p, call.first_row + row_number);
  const RowOutput out(call.p, row);
  for_selected<kThreads>(list, size, selected, bitmap, first_place, shared,
                         [&](int32_t at, int32_t place) { out.write(first + at, place - shift); });
}

// Writes what is selected of a list, from element `first` of row i's selection on.
template <int kThreads>
__device__ void write_selected(const DenseCall& c, int64_t i, const Entry* list, int32_t size,
                               const Selected& selected, const Bitmap& bitmap, int32_t first_place,
                               int32_t first, int32_t shift, BlockShared& shared) {
  if (c.plain && PlainOutput::has_indices_alone(c)) {
    int32_t* const out = c.indices + i * c.index_stride + first;
    for_selected<kThreads>(list, size, selected, bitmap, first_place, shared,
                           [&](int32_t at, int32_t place) { out[at] = place - shift; });
  } else if (c.plain) {
    const PlainOutput out(c, i);
    for_selected<kThreads>(
        list, size, selected, bitmap, first_place, shared,
        [&](int32_t at, int32_t place) { out.write(first + at, place - shift); });
  } else if (c.emits) {
    write_selected_any<kThreads>(c.full, i, list, size, selected, bitmap, first_place, first, shift,
                                 shared);
  }
}

// Selects row i among what passed the gate: `head`, and shared.list, which a barrier has made
// known. Out of line the row is read again, where that is too little or too much.
template <int kThreads, class Element>
__device__ void select_listed(const DenseCall& c, int64_t i, const DenseRow& row, int32_t shift,
                              Gate gate, const ListHead& head, GatedShared& shared) {
  int32_t size = head.size;
  const bool no_gate = gate.score == -__builtin_inff();
  const int32_t equal = no_gate && c.lowest > kNegInfKey ? 0 : head.equal;
  const int32_t wanted = min(c.k, size + equal);
  if (size > kListCapacity || (!no_gate && wanted < c.k)) {
    stream_row_of<kThreads>(c.full.p, c.full.first_row + i, shared.block);
    return;
  }
  // Or the threshold is the gate itself, whose equals are not in the list.
  const bool in_list = size >= wanted;
  Threshold threshold = {wanted, ordered_key(gate.score), wanted - size, equal};
  if (in_list && wanted > 0) {
    const auto each = [&](auto count) {
      for (int32_t j = threadIdx.x; j < size; j += kThreads) count(shared.list[j].key);
    };
    threshold =
        select_keys<kThreads>(each, threshold.key, head.top, wanted, c.wants_cut, shared.block);
  }
  Selected selected = {threshold.key, -1};
  if (threshold.quota > 0) {
    if (!in_list) {
      append_equal<kThreads>(row.first, row.n, shift, Element(c.dtype), gate.score, threshold.quota,
                             size, shared.list, shared.block);
      size += threshold.quota;
    }
    selected.last_place = INT32_MAX;
    if ((in_list && threshold.quota < threshold.equal) || c.wants_cut) {
      int32_t found;
      selected.last_place = last_tie<kThreads>(shared.list, size, threshold.key, shift + row.n,
                                               threshold.quota, found, shared.block);
      if (c.wants_cut && threadIdx.x == 0) write_cut(c.full, i, selected.last_place - shift);
    }
  }
  end_row(c, i, threshold.count, threadIdx.x, kThreads);
  const Bitmap bitmap(shared.block.bins, shift + row.n);
  bitmap.clear<kThreads>();
  __syncthreads();
  write_selected<kThreads>(c, i, shared.list, size, selected, bitmap, 0, 0, shift, shared.block);
}

// What passes the gate in a slice, into `list` and `head`, as scores. Ends with a barrier.
// Begins with clear bins and a head of zeros, which a barrier has made known.
template <int kThreads, bool unrolls, class Element>
__device__ Gate fill_list(const DenseCall& c, const Slice<Element>& row,
                          const Slice<Element>& slice, Entry* list, int32_t capacity,
                          ListHead& head, BlockShared& shared) {
  // Slabs of a thread: 4096 scores of long rows, half as many of others.
  constexpr int32_t kSamples = std::max(4096 / kThreads / Element::kCount, 1);
  const Element element(c.dtype);
  const int32_t n = row.row_end - row.shift;
  const Sample<kSamples> sample =
      load_sample<kThreads, kSamples>(row, n > 65536 ? kSamples : std::max(kSamples / 2, 1));
  const Batch<Element> batch = load_batch<kThreads>(slice, slice.begin);
  const Gate gate = sample_gate<kThreads>(sample, n, element, c.k, kMostWanted, c.lowest, shared);
  filter<kThreads, unrolls>(slice, element, batch, gate, list, capacity, head);
  __syncthreads();
  return gate;
}

// Before the row is there; ends with a barrier.
template <int kThreads>
__device__ void clear_gated(GatedShared& shared) {
  clear_bins<kThreads>(shared.block.bins);
  if (threadIdx.x == 0) shared.head = {0, 0, 0};
  __syncthreads();
}

// The same into shared.list and shared.head, as keys.
template <int kThreads, class Element>
__device__ Gate fill_keys(const DenseCall& c, const Slice<Element>& row,
                          const Slice<Element>& slice, GatedShared& shared) {
  const Gate gate = fill_list<kThreads, false>(c, row, slice, shared.list, kListCapacity,
                                               shared.head, shared.block);
  key_entries<kThreads>(shared.list, shared.head);
  __syncthreads();
  return gate;
}

// Rows that fit into the registers of one block go there.
inline constexpr int32_t kShortPlaces = 8192;
inline constexpr int32_t kSelected = -1;

template <class Element>
__device__ bool is_short(const Slice<Element>& row) {
  return row.row_end <= kShortPlaces;
}

// Selects row i if it is short; else returns its length. `staged` has room for what is selected.
// The bins are clear, which a barrier has made known. In line: out of line the call's parameters
// are loads one after the other, 2 us of a row of 4K.
template <int kThreads, class Element>
__device__ __forceinline__ int32_t select_short(const DenseCall& c, int64_t i, DenseRow row,
                                                uint16_t* staged, BlockShared& shared) {
  constexpr int32_t kSlabs = kShortPlaces / kThreads / Element::kCount;
  Slice<Element> slice(row.first, row.n);
  if (reads_length(c)) slice = Slice<Element>(row.first, min(row.n, kShortPlaces - slice.shift));
  const int32_t needed = (slice.end + kThreads - 1) / kThreads;
  RegisterKeys<Element, kThreads, kSlabs> own(c, slice, reads_length(c) ? kSlabs : needed);
  if (reads_length(c)) {
    row.n = length_of_row(c, i);
    if (slice.shift + row.n > kShortPlaces) return row.n;
    own.end_at(slice.shift + row.n);
  }
  register_row(c, i, row.n, slice.shift, own, staged, nullptr, shared);
  return kSelected;
}

// The same where it comes seldom.
template <int kThreads, class Element>
__device__ __noinline__ void select_short_apart(const DenseCall& c, int64_t i, DenseRow row,
                                                uint16_t* staged, BlockShared& shared) {
  select_short<kThreads, Element>(c, i, row, staged, shared);
}

// Whether row i was short, and has been selected. Where its length stands in memory that is read
// together with the scores which it has if it is short, and `row` gets it.
template <int kThreads, class Element>
__device__ bool short_row(const DenseCall& c, int64_t i, DenseRow& row, uint16_t* staged,
                          BlockShared& shared) {
  if (!reads_length(c) && !is_short(Slice<Element>(row.first, row.n))) return false;
  const int32_t n = select_short<kThreads, Element>(c, i, row, staged, shared);
  if (n != kSelected) row.n = n;
  return n == kSelected;
}

}  // namespace dsa::cuda::topk
