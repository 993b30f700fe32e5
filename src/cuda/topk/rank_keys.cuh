// The keys of all ranks, divided evenly among a block's threads.
#pragma once

#include "cuda/topk/cluster_memory.cuh"

namespace dsa::cuda::topk {

#if __CUDA_ARCH__ >= 900

// A share of each rank's in registers.
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
  // Whether one rank has so many that others are quicker.
  __device__ static bool crowd(const Cluster& cluster, int32_t size) {
    return __any_sync(kAllLanes, size > 2 * (kHeld >> cluster.log_ranks) * kThreads);
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

// The same however they are among the ranks: all as one list, the first ones in registers.
template <int kThreads>
class CrowdedKeys {
 public:
  __device__ CrowdedKeys(const ClusterMemory& m, const Cluster& cluster, int32_t size)
      : keys_(m.keys) {
    int32_t end = 0;
#pragma unroll
    for (int32_t r = 0; r < kMostRanks; ++r) {
      if (r < cluster.ranks) end += __shfl_sync(kAllLanes, size, r);
      end_[r] = end;
    }
#pragma unroll
    for (int32_t i = 0; i < kHeld; ++i) {
      const int32_t j = i * kThreads + static_cast<int32_t>(threadIdx.x);
      held_[i] = j < end ? key(j) : kNoKey;
    }
  }

  template <class Take>
  __device__ void each(int32_t end, Take take) const {
    int32_t size = 0;
#pragma unroll
    for (int32_t r = 0; r < kMostRanks; ++r) size = r < end ? end_[r] : size;
#pragma unroll
    for (int32_t i = 0; i < kHeld; ++i) {
      if (i * kThreads + static_cast<int32_t>(threadIdx.x) < size) take(held_[i]);
    }
#pragma unroll 1
    for (int32_t j = kHeld * kThreads + threadIdx.x; j < size; j += kThreads) take(key(j));
  }

 private:
  static constexpr int32_t kHeld = 8;

  __device__ uint32_t key(int32_t j) const {
    int32_t at = j;
#pragma unroll
    for (int32_t r = 0; r < kMostRanks - 1; ++r) {
      at = j >= end_[r] ? j - end_[r] + (r + 1) * kKeysOfRank : at;
    }
    return keys_[at];
  }

  const uint32_t* const keys_;
  int32_t end_[kMostRanks];
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

#endif

}  // namespace dsa::cuda::topk
