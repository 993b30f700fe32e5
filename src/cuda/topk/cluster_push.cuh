// From each rank's list to the keys of all ranks in every block's memory.
#pragma once

#include "cuda/topk/cluster_memory.cuh"

namespace dsa::cuda::topk {

#if __CUDA_ARCH__ >= 900

// The key of the list's j-th entry, and there; kNoKey past the end.
__device__ inline uint32_t take_key(const ClusterMemory& m, int32_t j, int32_t size) {
  if (j >= size) return kNoKey;
  return m.list[j].key = key_of_number(__uint_as_float(m.list[j].key));
}

// A warp's part of what ranks are told beside keys; `bytes` of those come.
template <int kThreads>
__device__ void push_head(const Cluster& cluster, const ClusterMemory& m, uint32_t top,
                          int32_t bytes) {
  top = __reduce_max_sync(kAllLanes, top);
  const int32_t r = lane_id();
  if (r >= cluster.ranks) return;
  const uint32_t barrier = cluster_address(&m.shared.pushed, r);
  store_async(cluster_address(&m.shared.tops[cluster.rank][warp_id()], r), top, barrier);
  if (warp_id() > 0) return;
  const uint2 head = {static_cast<uint32_t>(m.shared.head.size),
                      static_cast<uint32_t>(m.shared.head.equal)};
  store_async(cluster_address(&m.shared.heads[cluster.rank], r), head, barrier);
  cluster_arrive_expecting(barrier, bytes + kThreads / 32 * 4 + 8);
}

// Of rows in order one rank has all keys. Stores into other blocks take 10 bytes a clock; so many
// keys go by the copy engine, and the block must not end before all ranks have them.
constexpr int32_t kMostStored = 2048;
// Long slices, which more threads have, take too long for that to matter.
constexpr int32_t kCrowdThreads = 512;

template <int kThreads>
__device__ __noinline__ void push_crowd(Cluster cluster, ClusterMemory m, int32_t size) {
  uint32_t* const own = m.keys + cluster.rank * kKeysOfRank;
  uint32_t top = 0;
  for (int32_t j = threadIdx.x; j < (size + 3) / 4 * 4; j += kThreads) {
    own[j] = take_key(m, j, size);
    top = max(top, own[j]);
  }
  fence_async_proxy();
  __syncthreads();
  const int32_t r = lane_id(), bytes = (size + 3) / 4 * 16;
  const bool is_other = r < cluster.ranks && r != cluster.rank;
  if (warp_id() == 0 && is_other) {
    copy_bulk_cluster(cluster_address(own, r), own, bytes, cluster_address(&m.shared.pushed, r));
  }
  push_head<kThreads>(cluster, m, top, is_other ? bytes : 0);
}

// Turns the list's scores into keys, and gives them to all ranks.
template <int kThreads>
__device__ void push_list(const Cluster& cluster, const ClusterMemory& m) {
  const int32_t size = min(m.shared.head.size, kKeysOfRank);
  if constexpr (kThreads == kCrowdThreads) {
    if (size > kMostStored) {
      push_crowd<kThreads>(cluster, m, size);
      return;
    }
  }
  uint32_t top = 0;
#pragma unroll 1
  for (int32_t j = 4 * static_cast<int32_t>(threadIdx.x); j < size; j += 4 * kThreads) {
    uint32_t keys[4];
#pragma unroll
    for (int32_t e = 0; e < 4; ++e) {
      keys[e] = take_key(m, j + e, size);
      top = max(top, keys[e]);
    }
#pragma unroll 1
    for (int32_t r = 0; r < cluster.ranks; ++r) {
      store_async(cluster_address(m.keys + cluster.rank * kKeysOfRank, r) + j * 4,
                  uint4{keys[0], keys[1], keys[2], keys[3]}, cluster_address(&m.shared.pushed, r));
    }
  }
  push_head<kThreads>(cluster, m, top, (size + 3) / 4 * 16);
}

// Waits for all ranks where one may still be copying.
template <int kThreads>
__device__ void wait_for_copies(const Cluster& cluster, const ClusterMemory& m) {
  if constexpr (kThreads == kCrowdThreads) {
    const int32_t size = lane_id() < cluster.ranks ? m.shared.heads[lane_id()].size : 0;
    if (!__any_sync(kAllLanes, size > kMostStored)) return;
    cluster_arrive();
    cluster_wait();
  }
}

#endif

}  // namespace dsa::cuda::topk
