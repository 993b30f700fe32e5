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

struct BlockShared {
  alignas(16) uint32_t bins[kBins];
  uint32_t warp_sum[32];
  Crossing crossing;
};

// Sum over the threads before this one; `total` is that of all. Ends with no barrier: another call
// needs one in between.
template <int kThreads>
__device__ uint32_t exclusive_sum(uint32_t x, uint32_t& total, BlockShared& shared) {
  const uint32_t inclusive = warp_inclusive_sum(x);
  if (lane_id() == 31) shared.warp_sum[warp_id()] = inclusive;
  __syncthreads();
  const uint32_t sums =
      warp_inclusive_sum(lane_id() < kThreads / 32 ? shared.warp_sum[lane_id()] : 0u);
  total = __shfl_sync(kAllLanes, sums, 31);
  const uint32_t before = __shfl_sync(kAllLanes, sums, (warp_id() + 31) & 31);
  return (warp_id() == 0 ? 0 : before) + inclusive - x;
}

template <int kThreads>
__device__ void clear_bins(uint32_t* bins) {
  for (int32_t i = threadIdx.x; i < kBins / 4; i += kThreads) {
    reinterpret_cast<uint4*>(bins)[i] = {};
  }
}

// The bin with the rank-th largest element (rank >= 1, or `total` where there are fewer; no bin
// when there are none). Needs a barrier after the counting; ends with one.
template <int kThreads>
__device__ Crossing find_crossing(const uint32_t* bins, int32_t rank, uint32_t& total,
                                  BlockShared& shared) {
  constexpr int32_t kOwn = kBins / kThreads;  // consecutive bins of a thread, from the top
  static_assert(kOwn >= 2 && kOwn * kThreads == kBins);
  const int32_t lowest = kBins - kOwn * (static_cast<int32_t>(threadIdx.x) + 1);
  uint32_t counts[kOwn];
#pragma unroll
  for (int32_t i = 0; i < kOwn; i += 2) {
    const uint2 pair = *reinterpret_cast<const uint2*>(&bins[lowest + i]);
    counts[i] = pair.x;
    counts[i + 1] = pair.y;
  }
  uint32_t own = 0;
#pragma unroll
  for (int32_t i = 0; i < kOwn; ++i) own += counts[i];
  uint32_t above = exclusive_sum<kThreads>(own, total, shared);
  const uint32_t wanted = min(static_cast<uint32_t>(rank), total);
  if (above < wanted && wanted <= above + own) {
#pragma unroll
    for (int32_t i = kOwn - 1; i >= 0; --i) {
      if (above < wanted && wanted <= above + counts[i]) {
        shared.crossing = {lowest + i, static_cast<int32_t>(above),
                           static_cast<int32_t>(counts[i])};
      }
      above += counts[i];
    }
  }
  __syncthreads();
  return shared.crossing;
}

}  // namespace dsa::cuda::topk
