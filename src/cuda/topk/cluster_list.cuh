// A dense row by the blocks of a cluster. Each lists what passes the row's gate in its slice and
// gives the keys to all others, in one exchange; all choose alike, and each writes its own part of
// the selection, in order through a bitmap of its slice.
#pragma once

#include "cuda/topk/cluster_push.cuh"
#include "cuda/topk/rank_keys.cuh"

namespace dsa::cuda::topk {

#if __CUDA_ARCH__ >= 900

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

// Selects this block's part of a row of which `total` keys passed the gate; `size` of lane r is
// rank r's.
template <int kThreads, class Keys, class Element>
__device__ __forceinline__ void select_part(const DenseCall& c, int64_t i,
                                            const Slice<Element>& slice, const Cluster& cluster,
                                            const ClusterMemory& m, Gate gate, int32_t size,
                                            int32_t total) {
  const int32_t rank = cluster.rank, ranks = cluster.ranks;
  ClusterShared& shared = m.shared;
  uint32_t top = 0;
  if (lane_id() < kThreads / 32) {
#pragma unroll
    for (int32_t r = 0; r < kMostRanks; ++r) {
      if (r < ranks) top = max(top, shared.tops[r][lane_id()]);
    }
  }
  top = __reduce_max_sync(kAllLanes, top);

  const Keys keys(m, cluster, size);
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
  const int32_t own_size = __shfl_sync(kAllLanes, size, rank);
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
}

// The same where one rank has more than its share.
template <int kThreads, class Element>
__device__ __noinline__ void select_crowded_part(const DenseCall& c, int64_t i,
                                                 Slice<Element> slice, Cluster cluster,
                                                 ClusterMemory m, Gate gate, int32_t size,
                                                 int32_t total) {
  select_part<kThreads, CrowdedKeys<kThreads>>(c, i, slice, cluster, m, gate, size, total);
}

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
  if constexpr (kThreads == kCrowdThreads) {
    if (RankKeys<kThreads>::crowd(cluster, head.size)) {
      select_crowded_part<kThreads>(c, i, slice, cluster, m, gate, head.size, total);
      return true;
    }
  }
  select_part<kThreads, RankKeys<kThreads>>(c, i, slice, cluster, m, gate, head.size, total);
  return true;
}

#endif

}  // namespace dsa::cuda::topk
