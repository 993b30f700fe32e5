// Any dense row by the blocks of a cluster, a slice each, in registers: for rows whose gate fails.
// Histograms are summed over the blocks until few keys are left to choose among; every block gets
// those, chooses alike, and knows from their counts where its own part of the selection begins.
#pragma once

#include "cuda/cluster.cuh"
#include "cuda/topk/cluster_list.cuh"
#include "cuda/topk/half_bin.cuh"
#include "cuda/topk/register_row.cuh"

namespace dsa::cuda::topk {

inline constexpr int32_t kCandidates = 2048;

struct ClusterCrossing {
  uint32_t total;  // of the histogram; the rest means nothing when it is 0
  Crossing row;
  // Of the slices before this one.
  int32_t above_before, here_before;
};

struct CountShared {
  BlockShared block;  // its bins: histograms 0, 2, ...
  alignas(16) uint32_t second[kBins];
  // Of two histograms by turns, a rank's sums over the bins of its warps.
  uint32_t sums[2][kMostRanks][32];
  ClusterCrossing crossing;
  int32_t appended;
  uint32_t chosen_before;  // among candidates of slices before: from the cutoff on << 16 | ties
  uint32_t candidates[kCandidates];
};

#if __CUDA_ARCH__ >= 900

// By a warp, when `sums` of all ranks are there: find_crossing in the sum of their histograms, of
// count_halves where so said, from bin `first` on.
template <int kThreads>
__device__ __noinline__ void find_cluster_crossing(const uint32_t* bins,
                                                   const uint32_t (&sums)[kMostRanks][32],
                                                   int32_t wanted_rank, bool halves, int32_t first,
                                                   int32_t rank, int32_t ranks,
                                                   ClusterCrossing& crossing) {
  constexpr int32_t kCount = OwnBins<kThreads>::kCount;
  uint32_t of_warp = 0, of_warp_before = 0;
  if (lane_id() < kThreads / 32) {
    for (int32_t r = 0; r < ranks; ++r) {
      const uint32_t sum = sums[r][lane_id()];
      of_warp += sum;
      if (r < rank) of_warp_before += sum;
    }
  }
  const uint32_t inclusive = warp_inclusive_sum(of_warp);
  const uint32_t total = __shfl_sync(kAllLanes, inclusive, 31);
  if (total == 0) {
    if (lane_id() == 0) crossing.total = 0;
    return;
  }
  const uint32_t wanted = min(static_cast<uint32_t>(wanted_rank), total);
  const int32_t warp =
      __ffs(__ballot_sync(kAllLanes, inclusive - of_warp < wanted && wanted <= inclusive)) - 1;
  uint32_t above = __shfl_sync(kAllLanes, inclusive - of_warp, warp);

  // This lane's bins are those of a thread of that warp.
  const int32_t lowest = kBins - kCount * (warp * 32 + lane_id() + 1);
  const bool falls = halves && lowest < kZeroBin;
  const int32_t place = halves ? place_of_halves(lowest, kCount) : lowest;
  uint2 pairs[kMostRanks][kCount / 2];
#pragma unroll
  for (int32_t r = 0; r < kMostRanks; ++r) {
    const uint32_t from = cluster_address(bins + place, min(r, ranks - 1));
#pragma unroll
    for (int32_t i = 0; i < kCount / 2; ++i) pairs[r][i] = load_cluster_8(from + i * 8);
  }
  uint32_t here[kCount] = {}, before[kCount] = {};
  uint32_t sum = 0, sum_before = 0;
#pragma unroll
  for (int32_t i = 0; i < kCount; ++i) {
#pragma unroll
    for (int32_t r = 0; r < kMostRanks; ++r) {
      const int32_t j = kCount - 1 - i;
      const uint32_t rising = i % 2 ? pairs[r][i / 2].y : pairs[r][i / 2].x;
      const uint32_t count = falls ? (j % 2 ? pairs[r][j / 2].y : pairs[r][j / 2].x) : rising;
      if (r < ranks) here[i] += count;
      if (r < rank) before[i] += count;
    }
    const bool is_nan = halves && lowest + i == kBins - 1;
    if (lowest + i < first || is_nan) here[i] = before[i] = 0;
    sum += here[i];
    sum_before += before[i];
  }
  above += warp_inclusive_sum(sum) - sum;
  const bool has = above < wanted && wanted <= above + sum;
  const int32_t lane = __ffs(__ballot_sync(kAllLanes, has)) - 1;
  ClusterCrossing found = {total, {}, 0, 0};
  uint32_t all_before = lane_id() < lane ? sum_before : 0;
  if (has) {
#pragma unroll
    for (int32_t i = kCount - 1; i >= 0; --i) {
      if (above < wanted && wanted <= above + here[i]) {
        found.row = {lowest + i, static_cast<int32_t>(above), static_cast<int32_t>(here[i])};
        found.here_before = static_cast<int32_t>(before[i]);
      } else if (above < wanted) {
        all_before += before[i];
      }
      above += here[i];
    }
  }
  if (lane_id() < warp) all_before += of_warp_before;
  all_before = __reduce_add_sync(kAllLanes, all_before);
  if (has) {
    found.above_before = static_cast<int32_t>(all_before);
    crossing = found;
  }
}

// Gives all ranks the keys of the range that this one has.
template <class Element, int kThreads, int kSlabs>
__device__ void share_candidates(const RegisterKeys<Element, kThreads, kSlabs>& own,
                                 const KeyRange& range, int32_t first, int32_t ranks,
                                 CountShared& shared) {
  own.within(range, [&](uint32_t key) {
    const int32_t at = first + atomicAdd(&shared.appended, 1);
    for (int32_t r = 0; r < ranks; ++r) {
      store_cluster(cluster_address(&shared.candidates[at], r), key);
    }
  });
}

// The row's threshold, and what lies before this slice but for candidates, of which the first
// `candidates` are those of slices before.
struct ClusterThreshold {
  Threshold row;
  KeysBefore before;
  int32_t candidates;
};

// Of more than k keys, whose histograms are clear. Ends having arrived at the cluster's
// barrier once more than waited, unless candidates were shared.
template <class Element, int kThreads, int kSlabs>
__device__ ClusterThreshold cluster_threshold(const DenseCall& c,
                                              RegisterKeys<Element, kThreads, kSlabs>& own,
                                              int32_t rank, int32_t ranks, CountShared& shared,
                                              bool& waits) {
  ClusterThreshold result = {};
  result.row.key = c.lowest - 1;
  waits = true;
  KeyRange range;
  int32_t wanted = c.k;
#pragma unroll 1
  for (int32_t digit = 0;; ++digit) {
    uint32_t* const bins = digit % 2 ? shared.second : shared.block.bins;
    if (digit == 0) {
      own.count_all(bins);
    } else {
      own.within(range, [&](uint32_t key) { atomicAdd(&bins[range.bin(key)], 1u); });
    }
    __syncthreads();
    const OwnBins<kThreads> own_bins =
        digit == 0 ? own_halves<kThreads>(bins, c.lowest) : OwnBins<kThreads>(bins);
    uint32_t sum = 0;
#pragma unroll
    for (int32_t i = 0; i < own_bins.kCount; ++i) sum += own_bins.counts[i];
    sum = __reduce_add_sync(kAllLanes, sum);
    if (digit == 0) cluster_wait();  // all have begun
    if (lane_id() < ranks) {
      store_cluster(cluster_address(&shared.sums[digit % 2][rank][warp_id()], lane_id()), sum);
    }
    cluster_arrive();
    cluster_wait();
    // For the next: no rank reads it any more.
    if (digit > 0) clear_bins<kThreads>(digit % 2 ? shared.block.bins : shared.second);
    if (warp_id() == 0) {
      find_cluster_crossing<kThreads>(bins, shared.sums[digit % 2], wanted, digit == 0,
                                      digit == 0 ? first_bin(c.lowest) : 0, rank, ranks,
                                      shared.crossing);
    }
    __syncthreads();
    const ClusterCrossing crossing = shared.crossing;
    if (digit == 0) {
      if (crossing.total == 0) break;
      wanted = static_cast<int32_t>(min(static_cast<uint32_t>(wanted), crossing.total));
      result.row.count = wanted;
    }
    wanted -= crossing.row.above;
    result.before.greater += crossing.above_before;
    range = digit == 0 ? range_of_bin(crossing.row.bin) : range.of_bin(crossing.row.bin);
    const int32_t here = crossing.row.here;
    if (range.size == 0) {
      result.row.key = range.low;
      result.row.quota = wanted;
      result.row.equal = here;
      // Where all are taken they count as greater: Cutoff.
      const bool ties = Cutoff(result.row, c.wants_cut).ties;
      (ties ? result.before.equal : result.before.greater) += crossing.here_before;
      break;
    }
    if (here == wanted && !c.wants_cut) {
      result.row.key = range.low - 1;
      result.before.greater += crossing.here_before;
      break;
    }
    if (here <= kCandidates) {
      share_candidates(own, range, crossing.here_before, ranks, shared);
      cluster_arrive();
      cluster_wait();
      waits = false;
      const auto each = [&](auto count) {
        for (int32_t i = threadIdx.x; i < here; i += kThreads) count(shared.candidates[i]);
      };
      const Threshold chosen = select_keys<kThreads>(each, range.low, range.low + range.size,
                                                     wanted, c.wants_cut, shared.block);
      result.row.key = chosen.key;
      result.row.quota = chosen.quota;
      result.row.equal = chosen.equal;
      result.candidates = crossing.here_before;
      return result;
    }
  }
  cluster_arrive();
  return result;
}

// Counts candidates of the slices before this one into shared.chosen_before, for after a barrier.
template <int kThreads>
__device__ void count_before(const Cutoff& cutoff, int32_t candidates, CountShared& shared) {
  if (warp_id() * 32 >= candidates) return;
  uint32_t chosen = 0;
  for (int32_t i = threadIdx.x; i < candidates; i += kThreads) {
    const uint32_t key = shared.candidates[i];
    chosen +=
        (key >= cutoff.least ? 1u << 16 : 0u) + (cutoff.ties && key == cutoff.equal ? 1u : 0u);
  }
  chosen = __reduce_add_sync(kAllLanes, chosen);
  if (lane_id() == 0) atomicAdd(&shared.chosen_before, chosen);
}

template <int kThreads>
__device__ void clear_count(CountShared& shared) {
  clear_bins<kThreads>(shared.block.bins);
  clear_bins<kThreads>(shared.second);
  if (threadIdx.x == 0) {
    shared.appended = 0;
    shared.chosen_before = 0;
  }
}

// Rows of more than k keys, up to ranks * kThreads * kSlabs slabs. Begins and ends at the cluster's
// barrier.
template <class Element, int kThreads, int kSlabs>
__device__ __noinline__ void count_row(const DenseCall& c, int64_t row_number, DenseRow row,
                                       int32_t rank, int32_t ranks, CountShared& shared) {
  clear_count<kThreads>(shared);
  __syncthreads();
  cluster_arrive();
  const Slice<Element> whole(row.first, row.n);
  const Slice<Element> slice(whole, rank, (whole.end + ranks - 1) / ranks);
  RegisterKeys<Element, kThreads, kSlabs> own(c, slice);
  bool waits;
  const ClusterThreshold threshold = cluster_threshold(c, own, rank, ranks, shared, waits);
  const Cutoff cutoff(threshold.row, c.wants_cut);
  count_before<kThreads>(cutoff, threshold.candidates, shared);
  const auto before = [&]() -> KeysBefore {
    const uint32_t chosen = shared.chosen_before;
    return {threshold.before.greater + static_cast<int32_t>(chosen >> 16),
            threshold.before.equal + static_cast<int32_t>(chosen & 0xffffu)};
  };
  emit_keys(c, row_number, slice.shift, own, cutoff, before,
            reinterpret_cast<uint16_t*>(&shared + 1), shared.block);
  if (rank == 0) end_row(c, row_number, threshold.row.count, threadIdx.x, kThreads);
  if (waits) cluster_wait();
}

#endif

}  // namespace dsa::cuda::topk
