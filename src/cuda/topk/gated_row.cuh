// A dense row by one block or by a cluster, read once: a gate from a sample, the elements above it
// in a list, the exact selection in there, written in order through a bitmap of places.
#pragma once

#include "cuda/topk/cluster.cuh"
#include "cuda/topk/dense_row.cuh"
#include "cuda/topk/filter.cuh"
#include "cuda/topk/register_row.cuh"
#include "cuda/topk/stream_row.cuh"

namespace dsa::cuda::topk {

// A cluster's lists together, of which each of its blocks has the keys.
inline constexpr int32_t kGatheredCapacity = 8192;
// What passes the gate shall leave room for the sample's bad luck.
inline constexpr int32_t kMostWanted = 4096;
inline constexpr int32_t kLargestGatedK = 2048;

struct GatedShared {
  BlockShared block;
  alignas(16) Entry list[kListCapacity];
  ListHead head;
  ListHead heads[kLargestCluster];
};

// Dynamic shared memory: GatedShared, the gathered keys of a cluster, a bit for each place of the
// slice, and for each 128 of them how many bits were set before.
struct GatedMemory {
  GatedShared& shared;
  uint32_t* gathered;
  uint32_t* bits;
  uint32_t* before;
};

// Words of 32 places in fours, for slices of rows of up to max_length scores of 2 or 4 bytes.
__host__ __device__ constexpr int32_t bitmap_quads(int64_t max_length, int32_t ranks) {
  const int64_t slice = max_length / ranks + 32;
  const int64_t most = slice > kListCapacity + 32 ? slice : kListCapacity + 32;
  return static_cast<int32_t>((most + 127) / 128);
}

constexpr int64_t gated_shared_bytes(int64_t max_length, int32_t ranks) {
  return static_cast<int64_t>(sizeof(GatedShared)) + (ranks > 1 ? kGatheredCapacity * 4 : 0) +
         int64_t{bitmap_quads(max_length, ranks)} * 20;
}

__device__ inline GatedMemory lay_out(char* memory, int32_t max_length, int32_t ranks) {
  GatedShared& shared = *reinterpret_cast<GatedShared*>(memory);
  uint32_t* const gathered = reinterpret_cast<uint32_t*>(&shared + 1);
  uint32_t* const bits = gathered + (ranks > 1 ? kGatheredCapacity : 0);
  return {shared, gathered, bits, bits + 4 * bitmap_quads(max_length, ranks)};
}

// What a block selects of its own list: keys above `key`, and those equal to it up to `last_place`.
struct OwnSelection {
  uint32_t key = 0;
  int32_t last_place = -1;
  int32_t offset = 0;  // selected in earlier slices

  __device__ bool takes(const Entry& x, uint32_t lowest) const {
    const uint32_t other = selectable_key(x.score, lowest);
    return other > key || (other == key && x.place <= last_place && other != kNoKey);
  }
};

// What passed the gate in the slices of a cluster, and in those before the block's own.
struct Passed {
  int32_t all, equal, before, equal_before;
  uint32_t top;
  bool overflow;
};

// Exchanges list heads and copies the keys of all lists of the cluster to `gathered`, in the order
// of ranks. Afterwards nothing more is read of other blocks; cluster_wait() says when they are
// done.
template <int kThreads>
__device__ Passed gather_lists(const GatedMemory& m, int32_t rank, int32_t ranks) {
  cluster_arrive();
  cluster_wait();
  if (static_cast<int32_t>(threadIdx.x) < ranks) {
    const ListHead& here = m.shared.head;
    ListHead& head = m.shared.heads[threadIdx.x];
    head.size = static_cast<int32_t>(load_remote(&here.size, threadIdx.x));
    head.equal = static_cast<int32_t>(load_remote(&here.equal, threadIdx.x));
    head.top = load_remote(&here.top, threadIdx.x);
  }
  __syncthreads();
  Passed passed = {};
#pragma unroll 1
  for (int32_t r = 0; r < ranks; ++r) {
    const ListHead& head = m.shared.heads[r];
    if (r == rank) {
      passed.before = passed.all;
      passed.equal_before = passed.equal;
    }
    passed.all += head.size;
    passed.equal += head.equal;
    passed.top = max(passed.top, head.top);
    passed.overflow |= head.size > kListCapacity;
  }
  passed.overflow |= passed.all > kGatheredCapacity;
  if (!passed.overflow) {
    // Element i of all, by whoever finds in which list it is: the loads are independent.
#pragma unroll 4
    for (int32_t i = threadIdx.x; i < passed.all; i += kThreads) {
      int32_t r = 0, at = i;
      while (at >= m.shared.heads[r].size) at -= m.shared.heads[r++].size;
      m.gathered[i] = ordered_key(__uint_as_float(load_remote(&m.shared.list[at].score, r)));
    }
  }
  cluster_arrive();
  __syncthreads();
  return passed;
}

// Puts the first `quota` elements of the slice that equal the gate behind the list's `size`. The
// head stays as it is: other blocks of the cluster may still be reading it.
template <int kThreads, class Element>
__device__ __noinline__ void append_equal(Slice<Element> slice, Element element, float gate,
                                          int32_t quota, int32_t size, GatedShared& shared) {
  const int32_t begin = max(slice.first_place(), slice.shift);
  const int32_t end = min(slice.first_place() + slice.length(), slice.row_end);
  const char* const first =
      reinterpret_cast<const char*>(slice.slabs) + slice.shift * (16 / Element::kCount);
  int32_t found = 0;
  for (int32_t tile = begin; tile < end && found < quota; tile += kThreads) {
    const int32_t place = tile + static_cast<int32_t>(threadIdx.x);
    const float score = place < end ? element.at(first, place - slice.shift) : 0.0f;
    const bool is_equal = place < end && score == gate;
    __syncthreads();
    uint32_t total;
    const int32_t rank =
        found + static_cast<int32_t>(exclusive_sum<kThreads>(is_equal, total, shared.block));
    if (is_equal && rank < quota) shared.list[size + rank] = {score, place};
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

// Calls write(at, place) for the selected part of the list, `at` counted in order of places.
template <int kThreads, class Write>
__device__ void for_selected(const GatedMemory& m, const OwnSelection& own, int32_t first_place,
                             int32_t length, int32_t size, uint32_t lowest, Write write) {
  const Entry* const list = m.shared.list;
  const int32_t quads = (length + 127) / 128;
#pragma unroll 1
  for (int32_t i = threadIdx.x; i < quads; i += kThreads) {
    reinterpret_cast<uint4*>(m.bits)[i] = {};
  }
  __syncthreads();
#pragma unroll 1
  for (int32_t i = threadIdx.x; i < size; i += kThreads) {
    const Entry x = list[i];
    const int32_t bit = x.place - first_place;
    if (own.takes(x, lowest)) atomicOr(&m.bits[bit >> 5], 1u << (bit & 31));
  }
  __syncthreads();
  sum_bits<kThreads>(m, quads);
  __syncthreads();
#pragma unroll 1
  for (int32_t i = threadIdx.x; i < size; i += kThreads) {
    const Entry x = list[i];
    if (own.takes(x, lowest)) write(own.offset + bits_before(m, x.place - first_place), x.place);
  }
}

// for_selected into outputs of any kind.
template <int kThreads>
__device__ __noinline__ void write_selected_any(const TopkCall& call, int64_t row_number,
                                                GatedMemory m, OwnSelection own,
                                                int32_t first_place, int32_t length, int32_t shift,
                                                int32_t size, uint32_t lowest) {
  const RowScores row(call.p, call.first_row + row_number);
  const RowOutput out(call.p, row);
  for_selected<kThreads>(m, own, first_place, length, size, lowest,
                         [&](int32_t at, int32_t place) { out.write(at, place - shift); });
}

// A block's share of the ties at the threshold, where some come from earlier slices.
struct Ties {
  int32_t before, own;
};

// Counts, among the gathered keys, what earlier slices select above the threshold (`offset`) and
// the ties.
template <int kThreads>
__device__ Ties count_ties(const GatedMemory& m, uint32_t key, int32_t lists_before, int32_t size,
                           int32_t& offset) {
  uint32_t before = 0, own = 0;
#pragma unroll 1
  for (int32_t i = threadIdx.x; i < lists_before + size; i += kThreads) {
    const uint32_t other = m.gathered[i];
    if (i >= lists_before) {
      own += other == key ? 1u : 0u;
    } else {
      before += (other > key ? 1u << 16 : 0u) + (other == key ? 1u : 0u);
    }
  }
  uint32_t all_before, all_own;
  exclusive_sum<kThreads>(before, all_before, m.shared.block);
  __syncthreads();
  exclusive_sum<kThreads>(own, all_own, m.shared.block);
  __syncthreads();
  offset = static_cast<int32_t>(all_before >> 16);
  return {static_cast<int32_t>(all_before & 0xffffu), static_cast<int32_t>(all_own)};
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
  register_row<Element, kThreads, kSlabs>(c, i, row, 1, shared);
}

template <int kThreads, class Element>
__device__ void gated_row(const DenseCall& c, int64_t i, const DenseRow& row, int32_t ranks,
                          const GatedMemory& m) {
  GatedShared& shared = m.shared;
  const int32_t rank = ranks == 1 ? 0 : cluster_rank();
  const Element element(c.dtype);
  const Slice<Element> slice(row.first, row.n, rank, ranks);

  if (threadIdx.x == 0) shared.head = {0, 0, 0};
  const Batch<Element> batch = load_batch<kThreads>(slice, slice.begin);
  constexpr int32_t kSamples = 8;
  const Gate gate = sample_gate<kThreads, kSamples>(row.first, row.n, element, c.k,
                                                    row.n > 65536 ? kSamples : kSamples / 2,
                                                    kMostWanted, c.lowest, shared.block);
  filter<kThreads>(slice, element, batch, gate, shared.list, shared.head);
  __syncthreads();
  int32_t size = shared.head.size;  // of the own list
  find_top<kThreads>(shared.list, shared.head);
  Passed passed;
  if (ranks > 1) {
    passed = gather_lists<kThreads>(m, rank, ranks);
  } else {
    __syncthreads();
    passed = {size, shared.head.equal, 0, 0, shared.head.top, size > kListCapacity};
  }
  const int32_t own_equal = ranks > 1 ? shared.heads[rank].equal : passed.equal;
  const bool no_gate = gate.score == -__builtin_inff();
  if (no_gate && c.lowest > kNegInfKey) passed.equal = passed.equal_before = 0;
  const bool proved = no_gate || passed.all + passed.equal >= c.k;

  if (passed.overflow || !proved) {
    if (rank == 0) stream_row_of<kThreads>(c.full.p, c.full.first_row + i, shared.block);
    if (ranks > 1) cluster_wait();
    return;
  }
  const uint32_t gate_key = ordered_key(gate.score);
  const int32_t wanted = min(c.k, passed.all + passed.equal);
  // Or the threshold is the gate itself, whose equals are not in the list.
  const bool in_list = passed.all >= wanted;
  Threshold threshold = {wanted, gate_key, wanted - passed.all, passed.equal};
  if (in_list && wanted > 0) {
    const auto key = [&](int32_t j) {
      return ranks > 1 ? m.gathered[j] : ordered_key(shared.list[j].score);
    };
    threshold = select_keys<kThreads>(passed.all, key, gate_key, passed.top, wanted, c.wants_cut,
                                      shared.block);
  }

  OwnSelection own;
  own.key = threshold.key;
  Ties ties = {passed.equal_before, in_list ? threshold.equal : own_equal};
  if (ranks > 1) {
    const Ties counted = count_ties<kThreads>(m, threshold.key, passed.before, size, own.offset);
    if (in_list) ties = counted;
    own.offset += min(ties.before, threshold.quota);
  }
  const int32_t quota = min(max(threshold.quota - ties.before, 0), ties.own);
  const bool has_cut = quota > 0 && ties.before + quota == threshold.quota;
  if (quota > 0) {
    if (!in_list) {
      append_equal<kThreads>(slice, element, gate.score, quota, size, shared);
      size += quota;
    }
    own.last_place = INT32_MAX;
    if ((in_list && quota < ties.own) || (has_cut && c.wants_cut)) {
      // The quota-th smallest place among the ties.
      const int32_t after = slice.first_place() + slice.length();
      const auto key = [&](int32_t j) {
        const Entry x = shared.list[j];
        return selectable_key(x.score, c.lowest) == threshold.key
                   ? static_cast<uint32_t>(after - x.place)
                   : kNoKey;
      };
      const Threshold last = select_keys<kThreads>(
          size, key, 1u, static_cast<uint32_t>(slice.length()), quota, true, shared.block);
      own.last_place = after - static_cast<int32_t>(last.key);
      if (has_cut && c.wants_cut && threadIdx.x == 0) {
        write_cut(c.full, i, own.last_place - slice.shift);
      }
    }
  }
  if (rank == 0) end_row(c, i, threshold.count, threadIdx.x, kThreads);
  if (c.plain) {
    int32_t* const out = c.indices + i * c.index_stride;
    for_selected<kThreads>(m, own, slice.first_place(), slice.length(), size, c.lowest,
                           [&](int32_t at, int32_t place) { out[at] = place - slice.shift; });
  } else if (c.emits) {
    write_selected_any<kThreads>(c.full, i, m, own, slice.first_place(), slice.length(),
                                 slice.shift, size, c.lowest);
  }
  if (ranks > 1) cluster_wait();
}

}  // namespace dsa::cuda::topk
