// A dense row read once: a gate from a sample, the elements above it in a list, the exact selection
// in there, written in order through a bitmap of places.
#pragma once

#include "cuda/topk/dense_row.cuh"
#include "cuda/topk/filter.cuh"
#include "cuda/topk/register_row.cuh"
#include "cuda/topk/stream_row.cuh"

namespace dsa::cuda::topk {

inline constexpr int32_t kLargestGatedK = 2048;
// What passes the gate shall leave room for the sample's bad luck.
inline constexpr int32_t kMostWanted = 4096;

struct GatedShared {
  BlockShared block;
  alignas(16) Entry list[kListCapacity];
  ListHead head;
};

// Dynamic shared memory: GatedShared, a bit for each place of the row, and for each 128 of them how
// many bits were set before.
struct GatedMemory {
  GatedShared& shared;
  uint32_t* bits;
  uint32_t* before;
};

// Words of 32 places in fours.
__host__ __device__ constexpr int32_t bitmap_quads(int64_t max_length) {
  return static_cast<int32_t>((max_length + 8 + 127) / 128);
}

constexpr int64_t gated_shared_bytes(int64_t max_length) {
  return static_cast<int64_t>(sizeof(GatedShared)) + int64_t{bitmap_quads(max_length)} * 20;
}

__device__ inline GatedMemory lay_out(char* memory, int32_t max_length) {
  GatedShared& shared = *reinterpret_cast<GatedShared*>(memory);
  uint32_t* const bits = reinterpret_cast<uint32_t*>(&shared + 1);
  return {shared, bits, bits + 4 * bitmap_quads(max_length)};
}

// Puts the first `quota` elements of the row that equal the gate behind the list's `size`.
template <int kThreads, class Element>
__device__ __noinline__ void append_equal(const char* first, int32_t n, int32_t shift,
                                          Element element, float gate, int32_t quota, int32_t size,
                                          GatedShared& shared) {
  int32_t found = 0;
  for (int32_t tile = 0; tile < n && found < quota; tile += kThreads) {
    const int32_t j = tile + static_cast<int32_t>(threadIdx.x);
    const bool is_equal = j < n && element.at(first, j) == gate;
    __syncthreads();
    uint32_t total;
    const int32_t rank =
        found + static_cast<int32_t>(exclusive_sum<kThreads>(is_equal, total, shared.block));
    if (is_equal && rank < quota) shared.list[size + rank] = {ordered_key(gate), j + shift};
    found += static_cast<int32_t>(total);
  }
  __syncthreads();
}

// Number of set bits before each 128 places.
template <int kThreads>
__device__ void sum_bits(const GatedMemory& m, int32_t quads) {
  const int32_t each = (quads + kThreads - 1) / kThreads;
  const int32_t begin = min(static_cast<int32_t>(threadIdx.x) * each, quads);
  const int32_t end = min(begin + each, quads);
  uint32_t sum = 0;
#pragma unroll 1
  for (int32_t i = begin; i < end; ++i) {
    const uint4 quad = reinterpret_cast<const uint4*>(m.bits)[i];
    m.before[i] = sum;
    sum += __popc(quad.x) + __popc(quad.y) + __popc(quad.z) + __popc(quad.w);
  }
  uint32_t total;
  const uint32_t offset = exclusive_sum<kThreads>(sum, total, m.shared.block);
#pragma unroll 1
  for (int32_t i = begin; i < end; ++i) m.before[i] += offset;
}

__device__ inline int32_t bits_before(const GatedMemory& m, int32_t bit) {
  const uint4 quad = reinterpret_cast<const uint4*>(m.bits)[bit >> 7];
  const int32_t word = bit >> 5 & 3;
  const uint32_t own = word == 0 ? quad.x : word == 1 ? quad.y : word == 2 ? quad.z : quad.w;
  return static_cast<int32_t>(m.before[bit >> 7]) + (word > 0 ? __popc(quad.x) : 0) +
         (word > 1 ? __popc(quad.y) : 0) + (word > 2 ? __popc(quad.z) : 0) +
         __popc(own & ((1u << (bit & 31)) - 1));
}

// What is selected of the list: keys above `key`, and those equal to it up to `last_place`.
struct Selected {
  uint32_t key;
  int32_t last_place;

  __device__ bool takes(const Entry& x) const {
    return x.key > key || (x.key == key && x.place <= last_place);
  }
};

// Calls write(at, place) for what is selected, `at` counted in order of places.
template <int kThreads, class Write>
__device__ void for_selected(const GatedMemory& m, const Selected& selected, int32_t places,
                             int32_t size, Write write) {
  const Entry* const list = m.shared.list;
  const int32_t quads = (places + 127) / 128;
#pragma unroll 1
  for (int32_t i = threadIdx.x; i < quads; i += kThreads) {
    reinterpret_cast<uint4*>(m.bits)[i] = {};
  }
  __syncthreads();
#pragma unroll 2
  for (int32_t i = threadIdx.x; i < size; i += kThreads) {
    const Entry x = list[i];
    if (selected.takes(x)) atomicOr(&m.bits[x.place >> 5], 1u << (x.place & 31));
  }
  __syncthreads();
  sum_bits<kThreads>(m, quads);
  __syncthreads();
#pragma unroll 1
  for (int32_t i = threadIdx.x; i < size; i += kThreads) {
    const Entry x = list[i];
    if (selected.takes(x)) write(bits_before(m, x.place), x.place);
  }
}

// for_selected into outputs of any kind.
template <int kThreads>
__device__ __noinline__ void write_selected_any(const TopkCall& call, int64_t row_number,
                                                GatedMemory m, Selected selected, int32_t places,
                                                int32_t shift, int32_t size) {
  const RowScores row(call.p, call.first_row + row_number);
  const RowOutput out(call.p, row);
  for_selected<kThreads>(m, selected, places, size,
                         [&](int32_t at, int32_t place) { out.write(at, place - shift); });
}

// Selects row i among what passed the gate: shared.head and shared.list, which a barrier has made
// known. Out of line the row is read again, where that is too little or too much.
template <int kThreads, class Element>
__device__ void select_listed(const DenseCall& c, int64_t i, const DenseRow& row, int32_t shift,
                              Gate gate, const GatedMemory& m) {
  GatedShared& shared = m.shared;
  int32_t size = shared.head.size;
  const bool no_gate = gate.score == -__builtin_inff();
  const int32_t equal = no_gate && c.lowest > kNegInfKey ? 0 : shared.head.equal;
  const int32_t wanted = min(c.k, size + equal);
  if (size > kListCapacity || (!no_gate && wanted < c.k)) {
    stream_row_of<kThreads>(c.full.p, c.full.first_row + i, shared.block);
    return;
  }
  key_entries<kThreads>(shared.list, size, shared.head);
  __syncthreads();
  // Or the threshold is the gate itself, whose equals are not in the list.
  const bool in_list = size >= wanted;
  Threshold threshold = {wanted, ordered_key(gate.score), wanted - size, equal};
  if (in_list && wanted > 0) {
    threshold = select_keys<kThreads>(
        size, [&](int32_t j) { return shared.list[j].key; }, threshold.key, shared.head.top, wanted,
        c.wants_cut, shared.block);
  }
  Selected selected = {threshold.key, -1};
  if (threshold.quota > 0) {
    if (!in_list) {
      append_equal<kThreads>(row.first, row.n, shift, Element(c.dtype), gate.score, threshold.quota,
                             size, shared);
      size += threshold.quota;
    }
    selected.last_place = INT32_MAX;
    if ((in_list && threshold.quota < threshold.equal) || c.wants_cut) {
      // The quota-th smallest place among the ties.
      const int32_t after = shift + row.n;
      const auto key = [&](int32_t j) {
        const Entry x = shared.list[j];
        return x.key == threshold.key ? static_cast<uint32_t>(after - x.place) : kNoKey;
      };
      const Threshold last = select_keys<kThreads>(size, key, 1u, static_cast<uint32_t>(after),
                                                   threshold.quota, true, shared.block);
      selected.last_place = after - static_cast<int32_t>(last.key);
      if (c.wants_cut && threadIdx.x == 0) write_cut(c.full, i, selected.last_place - shift);
    }
  }
  end_row(c, i, threshold.count, threadIdx.x, kThreads);
  if (c.plain) {
    int32_t* const out = c.indices + i * c.index_stride;
    for_selected<kThreads>(m, selected, shift + row.n, size,
                           [&](int32_t at, int32_t place) { out[at] = place - shift; });
  } else if (c.emits) {
    write_selected_any<kThreads>(c.full, i, m, selected, shift + row.n, shift, size);
  }
}

// What passes the gate in a slice, into shared.list. Ends with a barrier.
template <int kThreads, class Element>
__device__ Gate fill_list(const DenseCall& c, const DenseRow& row, const Slice<Element>& slice,
                          GatedShared& shared) {
  constexpr int32_t kSamples = 8;
  const Element element(c.dtype);
  if (threadIdx.x == 0) shared.head = {0, 0, 0};
  const Batch<Element> batch = load_batch<kThreads>(slice, slice.begin);
  const Gate gate = sample_gate<kThreads, kSamples>(row.first, row.n, element, c.k,
                                                    row.n > 65536 ? kSamples : kSamples / 2,
                                                    kMostWanted, c.lowest, shared.block);
  filter<kThreads>(slice, element, batch, gate, shared.list, shared.head);
  __syncthreads();
  return gate;
}

// Rows that fit into the registers of one block go there.
inline constexpr int32_t kShortRow = 8192 - 8;

template <int kThreads, class Element>
__device__ __noinline__ void short_row(const DenseCall& c, int64_t i, DenseRow row, char* memory) {
  constexpr int32_t kSlabs = 8192 / kThreads / Element::kCount;
  RegisterShared& shared = *reinterpret_cast<RegisterShared*>(memory);
  static_assert(sizeof(RegisterShared) + kLargestGatedK * 2 <= sizeof(GatedShared));
  clear_bins<kThreads>(shared.block.bins);
  clear_bins<kThreads>(shared.second);
  __syncthreads();
  register_row<Element, kThreads, kSlabs>(c, i, row, shared);
}

}  // namespace dsa::cuda::topk
