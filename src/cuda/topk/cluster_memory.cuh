// Shared memory of a block of cuda.topk.cluster, and its place in the cluster.
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

#endif

}  // namespace dsa::cuda::topk
