// A dense row by the blocks of a cluster. Each lists what passes the row's gate in its slice and
// gives the keys to all others, in one exchange; all choose alike, and each writes its own part of
// the selection, in order through a bitmap of its slice.
#pragma once

#include "cuda/barrier.cuh"
#include "cuda/cluster.cuh"
#include "cuda/topk/gated_row.cuh"

namespace dsa::cuda::topk {

inline constexpr int32_t kMostRanks = 8;
// Of k 2048 about 3500 pass in a row, kMostWanted at most but for bad luck; in the worst case all
// in one slice.
inline constexpr int32_t kKeysOfRank = 4608;

struct RankHead {
  int32_t size, equal;
};

struct ClusterShared {
  BlockShared block;
  ListHead head;
  uint32_t chosen_before;  // in slices before: from the cutoff on << 16 | ties
  uint64_t pushed;         // barrier: what all ranks push has come
  alignas(8) RankHead heads[kMostRanks];
  alignas(16) uint32_t tops[kMostRanks][32];  // largest key of each warp
};

// Dynamic shared memory: behind ClusterShared the list, the keys of all ranks, and a bitmap.
constexpr int64_t cluster_list_bytes(int32_t ranks, int64_t slice) {
  return static_cast<int64_t>(sizeof(ClusterShared)) +
         int64_t{kKeysOfRank} * (static_cast<int32_t>(sizeof(Entry)) + 4 * ranks) +
         bitmap_bytes(slice);
}

struct ClusterMemory {
  ClusterShared& shared;
  Entry* list;
  uint32_t* keys;  // kKeysOfRank of each rank
  Bitmap bitmap;

  __device__ ClusterMemory(char* memory, int32_t ranks, int32_t slice)
      : shared(*reinterpret_cast<ClusterShared*>(memory)),
        list(reinterpret_cast<Entry*>(&shared + 1)),
        keys(reinterpret_cast<uint32_t*>(list + kKeysOfRank)),
        bitmap(keys + ranks * kKeysOfRank, slice) {}
};

#if __CUDA_ARCH__ >= 900

// A block's place in its cluster. The number of ranks is a power of two.
struct Cluster {
  int32_t rank, ranks, log_ranks;
  __device__ Cluster()
      : rank(cluster_rank()), ranks(cluster_ranks()), log_ranks(31 - __clz(ranks)) {}
};

// Before the row is there.
template <int kThreads>
__device__ void clear_cluster_list(const ClusterMemory& m) {
  clear_bins<kThreads>(m.shared.block.bins);
  m.bitmap.clear<kThreads>();
  if (threadIdx.x == 0) {
    m.shared.head = {0, 0, 0};
    m.shared.chosen_before = 0;
  }
  __syncthreads();
}

// First of all; then arrives at the cluster's barrier.
__device__ inline void init_cluster_list(const Cluster& cluster, const ClusterMemory& m) {
  if (threadIdx.x == 0) {
    barrier_init(&m.shared.pushed, cluster.ranks);
    fence_barrier_init();
  }
  __syncwarp();
  cluster_arrive_relaxed();
}

// Turns the list's scores into keys, and gives them to all ranks.
template <int kThreads>
__device__ void push_list(const Cluster& cluster, const ClusterMemory& m) {
  const int32_t size = min(m.shared.head.size, kKeysOfRank);
  const auto keys_at = [&](int32_t r) {
    return cluster_address(m.keys + cluster.rank * kKeysOfRank, r);
  };
  const auto barrier_at = [&](int32_t r) { return cluster_address(&m.shared.pushed, r); };
  uint32_t top = 0;
#pragma unroll 1
  for (int32_t j = 4 * static_cast<int32_t>(threadIdx.x); j < size; j += 4 * kThreads) {
    uint32_t keys[4];
#pragma unroll
    for (int32_t e = 0; e < 4; ++e) {
      keys[e] = kNoKey;
      if (j + e >= size) continue;
      keys[e] = key_of_number(__uint_as_float(m.list[j + e].key));
      m.list[j + e].key = keys[e];
      top = max(top, keys[e]);
    }
#pragma unroll 1
    for (int32_t r = 0; r < cluster.ranks; ++r) {
      store_async(keys_at(r) + j * 4, uint4{keys[0], keys[1], keys[2], keys[3]}, barrier_at(r));
    }
  }
  top = __reduce_max_sync(kAllLanes, top);
  const int32_t r = lane_id();
  if (r >= cluster.ranks) return;
  store_async(cluster_address(&m.shared.tops[cluster.rank][warp_id()], r), top, barrier_at(r));
  if (warp_id() > 0) return;
  const uint2 head = {static_cast<uint32_t>(m.shared.head.size),
                      static_cast<uint32_t>(m.shared.head.equal)};
  store_async(cluster_address(&m.shared.heads[cluster.rank], r), head, barrier_at(r));
  cluster_arrive_expecting(barrier_at(r), (size + 3) / 4 * 16 + kThreads / 32 * 4 + 8);
}

// The selection's ties among a block's list: they end at `last_place`. Writes the cut if that is
// one of them. Needs a barrier before.
template <int kThreads>
__device__ int32_t take_ties(const DenseCall& c, int64_t i, const Cutoff& cutoff,
                             const ClusterMemory& m, int32_t size, int32_t after, int32_t shift) {
  const int32_t quota = cutoff.quota - static_cast<int32_t>(m.shared.chosen_before & 0xffffu);
  if (quota <= 0) return -1;
  int32_t found;
  const int32_t place =
      last_tie<kThreads>(m.list, size, cutoff.equal, after, quota, found, m.shared.block);
  if (found == quota && c.wants_cut && threadIdx.x == 0) write_cut(c.full, i, place - shift);
  return found > 0 ? place : -1;
}

// Selects all that passed the gate and the first of those equal to it, which may be few or any
// number; false where that is less than k.
template <int kThreads, class Element>
__device__ __noinline__ bool take_gate(const DenseCall& c, int64_t i, Slice<Element> slice,
                                       Gate gate, RankHead head, int32_t total, int32_t rank,
                                       ClusterMemory m) {
  constexpr int32_t kCount = Element::kCount;
  const int32_t equal = __reduce_add_sync(kAllLanes, head.equal);
  // Where there is no gate fewer may be all that there are.
  if (!gate.counts_equal || (total + equal < c.k && gate.score > -__builtin_inff())) return false;
  __syncthreads();  // for the list's keys
  const int32_t wanted = min(c.k, total + equal);
  const bool is_before = lane_id() < rank;
  const int32_t size_before = __reduce_add_sync(kAllLanes, is_before ? head.size : 0);
  const int32_t equal_before =
      min(__reduce_add_sync(kAllLanes, is_before ? head.equal : 0), wanted - total);
  const int32_t size = __shfl_sync(kAllLanes, head.size, rank);
  const int32_t quota =
      min(wanted - total - equal_before, __shfl_sync(kAllLanes, head.equal, rank));
  const int32_t first = max(slice.first_place() - slice.shift, 0);  // key
  if (quota > 0) {
    append_equal<kThreads>(
        reinterpret_cast<const char*>(slice.slabs) + (first + slice.shift) * (16 / kCount),
        min(slice.end * kCount, slice.row_end) - slice.shift - first, slice.shift + first,
        Element(c.dtype), gate.score, quota, size, m.list, m.shared.block);
    if (c.wants_cut && equal_before + quota == wanted - total && threadIdx.x == 0) {
      write_cut(c.full, i, m.list[size + quota - 1].place - slice.shift);
    }
  }
  const Selected all = {kNoKey, -1};
  write_selected<kThreads>(c, i, m.list, size + quota, all, m.bitmap, slice.first_place(),
                           size_before + equal_before, slice.shift, m.shared.block);
  if (rank == 0) end_row(c, i, wanted, threadIdx.x, kThreads);
  return true;
}

// The keys of all ranks, evenly among the threads however they are among the ranks: the first ones
// in registers.
template <int kThreads>
class RankKeys {
 public:
  // `size` of lane r is that of rank r's.
  __device__ RankKeys(const ClusterMemory& m, const Cluster& cluster, int32_t size)
      : keys_(m.keys), ranks_(cluster.ranks), of_rank_((kHeld >> cluster.log_ranks) * kThreads) {
#pragma unroll
    for (int32_t i = 0; i < kHeld; ++i) {
      const int32_t of = i & (ranks_ - 1);
      const int32_t j = (i >> cluster.log_ranks) * kThreads + static_cast<int32_t>(threadIdx.x);
      held_[i] = j < __shfl_sync(kAllLanes, size, of) ? keys_[of * kKeysOfRank + j] : kNoKey;
    }
    left_ = max(size - of_rank_, 0);
    has_left_ = __any_sync(kAllLanes, left_ > 0);
  }

  // Calls take(key) for those of this thread that are of ranks before `end`.
  template <class Take>
  __device__ void each(int32_t end, Take take) const {
#pragma unroll
    for (int32_t i = 0; i < kHeld; ++i) {
      if (held_[i] != kNoKey && (i & (ranks_ - 1)) < end) take(held_[i]);
    }
    if (has_left_) each_left(end, take);
  }

 private:
  static constexpr int32_t kHeld = kMostRanks;

  // What is left of long lists, as one.
  template <class Take>
  __device__ void each_left(int32_t end, Take take) const {
    const int32_t ends = warp_inclusive_sum(left_);
    int32_t before[kMostRanks];
#pragma unroll
    for (int32_t r = 0; r < kMostRanks; ++r) before[r] = __shfl_sync(kAllLanes, ends - left_, r);
    const int32_t n = __shfl_sync(kAllLanes, ends, end - 1);
#pragma unroll 1
    for (int32_t j = threadIdx.x; j < n; j += kThreads) {
      int32_t at = j;
#pragma unroll
      for (int32_t r = 1; r < kMostRanks; ++r) {
        at = j >= before[r] ? j + r * kKeysOfRank - before[r] : at;
      }
      take(keys_[at + of_rank_]);
    }
  }

  const uint32_t* const keys_;
  const int32_t ranks_;
  const int32_t of_rank_;  // held of each
  int32_t left_;           // of lane r: how many are not held of rank r's
  bool has_left_;
  uint32_t held_[kHeld];
};

// Of 1024 threads, which have no registers to spare, warps take turns in the ranks' keys.
template <>
class RankKeys<1024> {
 public:
  __device__ RankKeys(const ClusterMemory& m, const Cluster& cluster, int32_t size)
      : of_(warp_id() & (cluster.ranks - 1)),
        keys_(m.keys + of_ * kKeysOfRank),
        size_(__shfl_sync(kAllLanes, size, of_)),
        first_((warp_id() >> cluster.log_ranks) * 32 + lane_id()),
        step_(1024 >> cluster.log_ranks) {}

  template <class Take>
  __device__ void each(int32_t end, Take take) const {
    if (of_ >= end) return;
    for (int32_t j = first_; j < size_; j += step_) take(keys_[j]);
  }

 private:
  const int32_t of_;
  const uint32_t* const keys_;
  const int32_t size_, first_, step_;
};

// Selects this block's part of a row of more than k keys; false where the gate failed, in all
// blocks alike. After clear_cluster_list and having arrived at the cluster's barrier.
template <int kThreads, class Element>
__device__ bool list_row(const DenseCall& c, int64_t i, const Slice<Element>& whole,
                         const Slice<Element>& slice, const Cluster& cluster,
                         const ClusterMemory& m) {
  const int32_t rank = cluster.rank, ranks = cluster.ranks;
  ClusterShared& shared = m.shared;
  const Gate gate = fill_list<kThreads, kThreads == 512>(c, whole, slice, m.list, kKeysOfRank,
                                                         shared.head, shared.block);
  cluster_wait();  // all have begun
  push_list<kThreads>(cluster, m);
  barrier_wait(&shared.pushed, 0);

  const RankHead head = lane_id() < ranks ? shared.heads[lane_id()] : RankHead{0, 0};
  const int32_t total = __reduce_add_sync(kAllLanes, head.size);
  if (__any_sync(kAllLanes, head.size > kKeysOfRank)) return false;
  if (total < c.k && (gate.score > -__builtin_inff() || c.lowest <= kNegInfKey)) {
    return take_gate<kThreads>(c, i, slice, gate, head, total, rank, m);
  }
  uint32_t top = 0;
  if (lane_id() < kThreads / 32) {
#pragma unroll
    for (int32_t r = 0; r < kMostRanks; ++r) {
      if (r < ranks) top = max(top, shared.tops[r][lane_id()]);
    }
  }
  top = __reduce_max_sync(kAllLanes, top);

  const RankKeys<kThreads> keys(m, cluster, head.size);
  const int32_t wanted = min(c.k, total);
  Threshold threshold;
  threshold.key = c.lowest - 1;
  if (wanted > 0) {
    const auto each = [&](auto take) { keys.each(ranks, take); };
    threshold = select_keys<kThreads>(each, ordered_key(gate.score), top, wanted, c.wants_cut,
                                      shared.block);
  }
  const Cutoff cutoff(threshold, c.wants_cut);
  if (rank > 0) {
    uint32_t chosen = 0;
    keys.each(rank, [&](uint32_t key) {
      chosen +=
          (key >= cutoff.least ? 1u << 16 : 0u) + (cutoff.ties && key == cutoff.equal ? 1u : 0u);
    });
    chosen = __reduce_add_sync(kAllLanes, chosen);
    if (lane_id() == 0) atomicAdd(&shared.chosen_before, chosen);
  }
  __syncthreads();
  const uint32_t chosen_before = shared.chosen_before;
  const int32_t own_size = __shfl_sync(kAllLanes, head.size, rank);
  int32_t last_place = -1;
  if (cutoff.ties) {
    last_place =
        take_ties<kThreads>(c, i, cutoff, m, own_size, slice.end * Element::kCount, slice.shift);
  }
  const int32_t before = static_cast<int32_t>(chosen_before >> 16) +
                         min(static_cast<int32_t>(chosen_before & 0xffffu), cutoff.quota);
  // All from `least` on, and of those just below it, which are the ties, the first ones.
  const Selected selected = {cutoff.least - 1, last_place};
  write_selected<kThreads>(c, i, m.list, own_size, selected, m.bitmap, slice.first_place(), before,
                           slice.shift, shared.block);
  if (rank == 0) end_row(c, i, wanted, threadIdx.x, kThreads);
  return true;
}

#endif

}  // namespace dsa::cuda::topk
