// Block-wide sums, and the bin of a histogram in which a rank falls.
#pragma once

#include <cstdint>

namespace dsa::cuda::topk {

inline constexpr int32_t kBins = 2048;  // 11 key bits
inline constexpr uint32_t kAllLanes = 0xffffffffu;

__device__ inline int32_t lane_id() { return static_cast<int32_t>(threadIdx.x) & 31; }
__device__ inline int32_t warp_id() { return static_cast<int32_t>(threadIdx.x) >> 5; }

template <class T>
__device__ T warp_inclusive_sum(T x) {
#pragma unroll
  for (int32_t step = 1; step < 32; step *= 2) {
    const T other = __shfl_up_sync(kAllLanes, x, step);
    if (lane_id() >= step) x += other;
  }
  return x;
}

struct Crossing {
  int32_t bin;
  int32_t above;  // elements in higher bins
  int32_t here;   // in the bin
};

// The selection: every key above `key`, and the first `quota` equal to it.
struct Threshold {
  int32_t count = 0;  // selected
  uint32_t key = 0;
  int32_t quota = 0;
  int32_t equal = 0;  // how many there are
};

inline constexpr int32_t kFewKeys = 128;

struct BlockShared {
  alignas(16) uint32_t warp_sum[32];
  Crossing crossing;
  int32_t cut;           // place of the selection's last, where emit_keys has written it
  uint32_t least, most;  // no key and every key after find_crossing
  int32_t few;           // of few_keys; 0 after find_crossing
  uint32_t few_keys[kFewKeys];
  Threshold few_threshold;
  // And one for what is outside the range. Last: other things may take their place and more.
  alignas(16) uint32_t bins[kBins + 4];
};

// Sum over the warps before this one of what each of them has; `total` is that of all. Ends with no
// barrier: another call needs one in between.
template <int kThreads>
__device__ uint32_t sum_of_warps(uint32_t of_warp, uint32_t& total, BlockShared& shared) {
  constexpr int32_t kWarps = kThreads / 32;
  if (lane_id() == 0) shared.warp_sum[warp_id()] = of_warp;
  __syncthreads();
  if constexpr (kWarps == 8) {  // half the latency of a scan by shuffles
    total = 0;
    uint32_t before = 0;
#pragma unroll
    for (int32_t w = 0; w < kWarps; w += 4) {
      const uint4 sums = *reinterpret_cast<const uint4*>(&shared.warp_sum[w]);
      before += (w < warp_id() ? sums.x : 0u) + (w + 1 < warp_id() ? sums.y : 0u) +
                (w + 2 < warp_id() ? sums.z : 0u) + (w + 3 < warp_id() ? sums.w : 0u);
      total += sums.x + sums.y + sums.z + sums.w;
    }
    return before;
  } else if constexpr (kWarps >= 16) {  // fewest instructions, which the warps compete for
    const uint32_t sum = lane_id() < kWarps ? shared.warp_sum[lane_id()] : 0u;
    total = __reduce_add_sync(kAllLanes, sum);
    return __reduce_add_sync(kAllLanes, lane_id() < warp_id() ? sum : 0u);
  } else {
    uint32_t sums = lane_id() < kWarps ? shared.warp_sum[lane_id()] : 0u;
#pragma unroll
    for (int32_t step = 1; step < kWarps; step *= 2) {
      const uint32_t other = __shfl_up_sync(kAllLanes, sums, step);
      if (lane_id() >= step) sums += other;
    }
    total = __shfl_sync(kAllLanes, sums, kWarps - 1);
    return __shfl_sync(kAllLanes, sums, warp_id()) - of_warp;
  }
}

// Sum over the threads before this one. As sum_of_warps.
template <int kThreads>
__device__ uint32_t exclusive_sum(uint32_t x, uint32_t& total, BlockShared& shared) {
  const uint32_t inclusive = warp_inclusive_sum(x);
  const uint32_t of_warp = __shfl_sync(kAllLanes, inclusive, 31);
  return sum_of_warps<kThreads>(of_warp, total, shared) + inclusive - x;
}

template <int kThreads>
__device__ void clear_bins(uint32_t* bins) {
  constexpr int32_t kQuads = kBins / 4;
#pragma unroll
  for (int32_t i = 0; i < (kQuads + kThreads - 1) / kThreads; ++i) {
    const int32_t at = static_cast<int32_t>(threadIdx.x) + i * kThreads;
    if (kQuads % kThreads == 0 || at < kQuads) reinterpret_cast<uint4*>(bins)[at] = {};
  }
}

// Consecutive bins of a thread, highest threads lowest bins.
template <int kThreads>
struct OwnBins {
  static constexpr int32_t kCount = kBins / kThreads;
  static_assert(kCount >= 2 && kCount * kThreads == kBins);
  __device__ static int32_t lowest() {
    return kBins - kCount * (static_cast<int32_t>(threadIdx.x) + 1);
  }
  uint32_t counts[kCount];

  __device__ explicit OwnBins(const uint32_t* bins) : OwnBins(bins, lowest()) {}
  // kCount of them from `first` on.
  __device__ OwnBins(const uint32_t* bins, int32_t first) {
#pragma unroll
    for (int32_t i = 0; i < kCount; i += 2) {
      const uint2 pair = *reinterpret_cast<const uint2*>(&bins[first + i]);
      counts[i] = pair.x;
      counts[i + 1] = pair.y;
    }
  }
  __device__ void reverse() {
#pragma unroll
    for (int32_t i = 0; i < kCount / 2; ++i) {
      const uint32_t other = counts[i];
      counts[i] = counts[kCount - 1 - i];
      counts[kCount - 1 - i] = other;
    }
  }
  // For bins of what is never selected.
  __device__ void drop_below(int32_t first) {
#pragma unroll
    for (int32_t i = 0; i < kCount; ++i) {
      if (lowest() + i < first) counts[i] = 0;
    }
  }
};

// The bin with the rank-th largest element (rank >= 1, or `total` where there are fewer; no bin
// when there are none). Needs a barrier after the counting; ends with one. Only the warp that has
// the bin scans its lanes: in a block that selects one row, instructions are what time goes by.
template <int kThreads>
__device__ Crossing find_crossing(const OwnBins<kThreads>& own, int32_t rank, uint32_t& total,
                                  BlockShared& shared) {
  uint32_t sum = 0;
#pragma unroll
  for (int32_t i = 0; i < own.kCount; ++i) sum += own.counts[i];
  const uint32_t of_warp = __reduce_add_sync(kAllLanes, sum);
  uint32_t above = sum_of_warps<kThreads>(of_warp, total, shared);
  const uint32_t wanted = min(static_cast<uint32_t>(rank), total);
  if (above < wanted && wanted <= above + of_warp) {
    above += warp_inclusive_sum(sum) - sum;
    if (above < wanted && wanted <= above + sum) {
#pragma unroll
      for (int32_t i = own.kCount - 1; i >= 0; --i) {
        if (above < wanted && wanted <= above + own.counts[i]) {
          shared.crossing = {own.lowest() + i, static_cast<int32_t>(above),
                             static_cast<int32_t>(own.counts[i])};
          shared.few = 0;
          shared.least = ~0u;
          shared.most = 0;
        }
        above += own.counts[i];
      }
    }
  }
  __syncthreads();
  return shared.crossing;
}

template <int kThreads>
__device__ Crossing find_crossing(const uint32_t* bins, int32_t rank, uint32_t& total,
                                  BlockShared& shared) {
  return find_crossing(OwnBins<kThreads>(bins), rank, total, shared);
}

}  // namespace dsa::cuda::topk
