// A dense row by one block or by a cluster, read once: a gate from a sample, the elements above it
// in a list, the exact selection in there, written in order through a bitmap of places.
#pragma once

#include "cuda/topk/cluster.cuh"
#include "cuda/topk/filter.cuh"
#include "cuda/topk/sample.cuh"
#include "cuda/topk/stream_row.cuh"

namespace dsa::cuda::topk {

inline constexpr int32_t kLargestCluster = 8;
// A cluster's lists together, of which each of its blocks has the keys.
inline constexpr int32_t kGatheredCapacity = 16384;

struct GatedShared {
  BlockShared block;
  List list;
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

__device__ inline GatedMemory lay_out(char* memory, int64_t max_length, int32_t ranks) {
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

  __device__ bool takes(uint32_t other, int32_t place) const {
    return other > key || (other == key && place <= last_place);
  }
};

// Copies the keys of all lists of the cluster to `gathered`, in the order of ranks.
template <int kThreads>
__device__ void gather_lists(const GatedMemory& m, int32_t ranks) {
  uint32_t first[kLargestCluster];  // loads of all ranks in flight at once
#pragma unroll
  for (int32_t r = 0; r < kLargestCluster; ++r) {
    const int32_t size = r < ranks ? m.shared.heads[r].greater : 0;
    if (static_cast<int32_t>(threadIdx.x) < size) {
      first[r] = load_remote(&m.shared.list.keys[threadIdx.x], r);
    }
  }
  int32_t offset = 0;
#pragma unroll
  for (int32_t r = 0; r < kLargestCluster; ++r) {
    const int32_t size = r < ranks ? m.shared.heads[r].greater : 0;
    if (static_cast<int32_t>(threadIdx.x) < size) m.gathered[offset + threadIdx.x] = first[r];
    for (int32_t i = threadIdx.x + kThreads; i < size; i += kThreads) {
      m.gathered[offset + i] = load_remote(&m.shared.list.keys[i], r);
    }
    offset += size;
  }
}

// Puts the first `quota` elements of the slice that equal the gate behind the list's `size`. The
// head stays as it is: other blocks of the cluster may still be reading it.
template <class Element, int kThreads>
__device__ void append_equal(const RowScores& row, const Slice<Element>& slice, float gate,
                             int32_t quota, int32_t size, GatedShared& shared) {
  const uint32_t key = ordered_key(gate);
  const int32_t begin = max(slice.first_place(), slice.shift);
  const int32_t end = min(slice.first_place() + slice.length(), slice.row_end);
  int32_t found = 0;
  for (int32_t tile = begin; tile < end && found < quota; tile += kThreads) {
    const int32_t place = tile + static_cast<int32_t>(threadIdx.x);
    const bool is_equal = place < end && row.score(place - slice.shift) == gate;
    __syncthreads();
    uint32_t total;
    const int32_t rank =
        found + static_cast<int32_t>(exclusive_sum<kThreads>(is_equal, total, shared.block));
    if (is_equal && rank < quota) {
      shared.list.keys[size + rank] = key;
      shared.list.places[size + rank] = place;
    }
    found += static_cast<int32_t>(total);
  }
  __syncthreads();
}

// Writes the selected part of the list in order of places.
template <class Element, int kThreads>
__device__ void write_selection(const Slice<Element>& slice, const OwnSelection& own, int32_t size,
                                const RowOutput& out, const GatedMemory& m) {
  const List& list = m.shared.list;
  const int32_t quads = (slice.length() + 127) / 128;
  for (int32_t i = threadIdx.x; i < quads; i += kThreads) {
    reinterpret_cast<uint4*>(m.bits)[i] = {};
  }
  __syncthreads();
  for (int32_t i = threadIdx.x; i < size; i += kThreads) {
    if (!own.takes(list.keys[i], list.places[i])) continue;
    const int32_t bit = list.places[i] - slice.first_place();
    atomicOr(&m.bits[bit >> 5], 1u << (bit & 31));
  }
  __syncthreads();
  const int32_t each = (quads + kThreads - 1) / kThreads;
  const int32_t begin = min(static_cast<int32_t>(threadIdx.x) * each, quads);
  const int32_t end = min(begin + each, quads);
  uint32_t sum = 0;
  for (int32_t i = begin; i < end; ++i) {
    const uint4 quad = reinterpret_cast<const uint4*>(m.bits)[i];
    m.before[i] = sum;
    sum += __popc(quad.x) + __popc(quad.y) + __popc(quad.z) + __popc(quad.w);
  }
  uint32_t total;
  const uint32_t offset = own.offset + exclusive_sum<kThreads>(sum, total, m.shared.block);
  for (int32_t i = begin; i < end; ++i) m.before[i] += offset;
  __syncthreads();
  for (int32_t i = threadIdx.x; i < size; i += kThreads) {
    const int32_t place = list.places[i];
    if (!own.takes(list.keys[i], place)) continue;
    const int32_t bit = place - slice.first_place();
    const int32_t word = bit >> 5;
    uint32_t at = m.before[word >> 2];
    for (int32_t w = word & ~3; w < word; ++w) at += __popc(m.bits[w]);
    at += __popc(m.bits[word] & ((1u << (bit & 31)) - 1));
    out.write(static_cast<int32_t>(at), place - slice.shift);
  }
}

// A row of up to kListCapacity keys goes by rank 0 alone, all of it through the list.
inline constexpr int32_t kListedRow = kListCapacity;

template <class Element, int kThreads, int kSamples, int kAtOnce>
__device__ void gated_row(const TopkParams& p, int64_t t, const GatedMemory& m) {
  GatedShared& shared = m.shared;
  const RowScores row(p, t);
  const SelectParams& select = p.select;
  const Element element(p.scores.dtype);
  const bool listed = row.n <= kListedRow;
  const int32_t rank = cluster_rank();
  const int32_t ranks = listed ? 1 : cluster_size();
  if (listed && rank > 0) return;
  const Slice<Element> slice(row, rank, ranks);

  if (threadIdx.x == 0) shared.head = {0, 0, 0};
  float gate = -__builtin_inff();
  if (listed) {
    list_all<Element, kThreads>(row, slice, element, shared.list);
    __syncthreads();
  } else {
    Batch<Element, kThreads, kAtOnce> batch;
    batch.load(slice, slice.full_begin + static_cast<int32_t>(threadIdx.x));
    gate = sample_gate<kThreads, kSamples>(row, select.k, shared.block);
    filter(row, slice, element, batch, gate, shared.list, shared.head);
    __syncthreads();
  }

  // What passed in all slices, and in those before this one.
  int32_t size = listed ? row.n : shared.head.greater;  // of the own list
  int32_t all = size, equal = shared.head.equal, lists_before = 0, equal_before = 0;
  bool overflow = size > kListCapacity;
  uint32_t top = listed ? kPosInfKey : shared.head.top;
  const uint32_t* keys = shared.list.keys;
  if (ranks > 1) {
    cluster_arrive();
    cluster_wait();
    if (static_cast<int32_t>(threadIdx.x) < ranks) {
      ListHead& head = shared.heads[threadIdx.x];
      head.greater = static_cast<int32_t>(load_remote(&shared.head.greater, threadIdx.x));
      head.equal = static_cast<int32_t>(load_remote(&shared.head.equal, threadIdx.x));
      head.top = load_remote(&shared.head.top, threadIdx.x);
    }
    __syncthreads();
    all = equal = 0;
    for (int32_t r = 0; r < ranks; ++r) {
      const ListHead& head = shared.heads[r];
      if (r == rank) {
        lists_before = all;
        equal_before = equal;
      }
      all += head.greater;
      equal += head.equal;
      top = max(top, head.top);
      overflow |= head.greater > kListCapacity;
    }
    overflow |= all > kGatheredCapacity;
    if (!overflow) gather_lists<kThreads>(m, ranks);
    keys = m.gathered;
    cluster_arrive();  // of the other blocks' memory nothing more is read
    __syncthreads();
  }
  const int32_t own_equal = ranks > 1 ? shared.heads[rank].equal : equal;
  if (gate == -__builtin_inff() && !select.select_neg_inf) equal = equal_before = 0;
  const bool proved = gate == -__builtin_inff() || all + equal >= select.k;

  if (overflow || !proved) {
    if (rank == 0) stream_row_of<kThreads>(p, t, shared.block);
  } else {
    const bool wants_cut = select.cut_score.given() || select.cut_index.given();
    Threshold threshold;
    const int32_t wanted = listed ? select.k : min(select.k, all + equal);
    if (listed || (wanted > 0 && all >= wanted)) {
      threshold = select_keys<kThreads>(
          all, [&](int32_t i) { return keys[i]; }, listed ? 1u : ordered_key(gate), top, wanted,
          wants_cut, shared.block);
    } else {
      threshold.count = wanted;
      threshold.key = ordered_key(gate);
      threshold.quota = wanted - all;
      threshold.equal = equal;
    }
    const bool equals_listed = listed || all >= wanted;

    OwnSelection own;
    own.key = threshold.key;
    // Ties: those in earlier slices go first.
    int32_t own_ties = equals_listed ? threshold.equal : own_equal;
    int32_t ties_before = equal_before;
    if (ranks > 1) {
      uint32_t counts = 0;  // above and equal to the threshold, in earlier slices
      for (int32_t i = threadIdx.x; i < lists_before; i += kThreads) {
        counts += (keys[i] > threshold.key ? 1u << 16 : 0u) + (keys[i] == threshold.key ? 1u : 0u);
      }
      uint32_t total;
      exclusive_sum<kThreads>(counts, total, shared.block);
      __syncthreads();
      if (equals_listed) {
        ties_before = static_cast<int32_t>(total & 0xffffu);
        counts = 0;
        for (int32_t i = threadIdx.x; i < size; i += kThreads) {
          counts += shared.list.keys[i] == threshold.key;
        }
        uint32_t ties;
        exclusive_sum<kThreads>(counts, ties, shared.block);
        __syncthreads();
        own_ties = static_cast<int32_t>(ties);
      }
      own.offset = static_cast<int32_t>(total >> 16) + min(ties_before, threshold.quota);
    }
    const int32_t own_quota = min(max(threshold.quota - ties_before, 0), own_ties);
    const bool has_cut = own_quota > 0 && ties_before + own_quota == threshold.quota;
    if (own_quota > 0 && !equals_listed) {
      append_equal<Element, kThreads>(row, slice, gate, own_quota, size, shared);
      size += own_quota;
      own_ties = own_quota;
    }
    if (own_quota > 0 && (own_quota < own_ties || (has_cut && wants_cut))) {
      // The own_quota-th smallest place among the ties.
      const int32_t after = slice.first_place() + slice.length();
      const Threshold last = select_keys<kThreads>(
          size,
          [&](int32_t i) {
            return shared.list.keys[i] == threshold.key
                       ? static_cast<uint32_t>(after - shared.list.places[i])
                       : kNoKey;
          },
          1u, static_cast<uint32_t>(slice.length()), own_quota, true, shared.block);
      own.last_place = after - static_cast<int32_t>(last.key);
      if (has_cut && threadIdx.x == 0) {
        RowOutput(p, row).write_cut(own.last_place - slice.shift);
      }
    } else if (own_quota > 0) {
      own.last_place = INT32_MAX;
    }
    const RowOutput out(p, row);
    if (rank == 0 && threadIdx.x == 0) {
      out.write_count(threshold.count);
      if (threshold.count == 0) out.write_no_cut();
    }
    if (!select.cut_only()) {
      if (rank == 0) out.fill(threshold.count, threadIdx.x, kThreads);
      write_selection<Element, kThreads>(slice, own, size, out, m);
    }
  }
  if (ranks > 1) cluster_wait();
}

}  // namespace dsa::cuda::topk
