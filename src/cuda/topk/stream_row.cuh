// A row of any kind by one block, read from global memory once for each of three digits of the
// keys and once more to write the selection: right for every row, and the last resort of the fast
// forms.
#pragma once

#include "cuda/topk/row.cuh"
#include "cuda/topk/select_keys.cuh"
#include "cuda/topk/sort.cuh"

namespace dsa::cuda::topk {

// The threshold of the k largest, by three radix passes over the row.
template <int kThreads>
__device__ Threshold stream_threshold(const RowScores& row, int32_t k, BlockShared& shared) {
  Threshold result;
  uint32_t low = 0;  // keys of interest: [low, low + 2^top)
  int32_t top = 32;
  int32_t rank = k;
  for (const int32_t shift : {21, 10, 0}) {
    clear_bins<kThreads>(shared.bins);
    __syncthreads();
    for (uint32_t j = threadIdx.x; j < static_cast<uint32_t>(row.n); j += kThreads) {
      const uint32_t key = row.key(static_cast<int32_t>(j));
      const bool inside = top == 32 ? key != kNoKey : (key - low) >> top == 0;
      if (inside) atomicAdd(&shared.bins[(key - low) >> shift], 1u);
    }
    __syncthreads();
    uint32_t total;
    const Crossing crossing = find_crossing<kThreads>(shared.bins, rank, total, shared);
    if (total == 0) return result;
    if (top == 32) {
      rank = min(static_cast<uint32_t>(k), total);
      result.count = rank;
    }
    rank -= crossing.above;
    low += static_cast<uint32_t>(crossing.bin) << shift;
    top = shift;
  }
  result.key = low;
  result.quota = rank;
  return result;
}

// Calls take(at, j, key) for the selection in ascending order, and gives the last one selected in
// (score descending, index ascending) order to last(j).
template <int kThreads, class Take, class Last>
__device__ void stream_selection(const RowScores& row, const Threshold& threshold,
                                 BlockShared& shared, Take take, Last last) {
  constexpr int32_t kRounds = 8;  // of 32 keys, a warp
  constexpr int32_t kWarps = kThreads / 32;
  constexpr int32_t kTile = kThreads * kRounds;
  int32_t greater_before = 0, equal_before = 0;  // in earlier tiles
  for (int64_t tile = 0; tile < row.n && greater_before + equal_before < threshold.count;
       tile += kTile) {
    const int64_t begin = tile + warp_id() * (32 * kRounds) + lane_id();
    uint32_t keys[kRounds];
    uint32_t greater = 0, equal = 0;  // of the warp
#pragma unroll
    for (int32_t i = 0; i < kRounds; ++i) {
      const int64_t j = begin + i * 32;
      keys[i] = j < row.n ? row.key(static_cast<int32_t>(j)) : kNoKey;
      greater += __popc(__ballot_sync(kAllLanes, keys[i] > threshold.key));
      equal += __popc(__ballot_sync(kAllLanes, keys[i] == threshold.key));
    }
    __syncthreads();
    if (lane_id() == 0) shared.warp_sum[warp_id()] = greater << 16 | equal;
    __syncthreads();
    const uint32_t sums = warp_inclusive_sum(lane_id() < kWarps ? shared.warp_sum[lane_id()] : 0u);
    const uint32_t all = __shfl_sync(kAllLanes, sums, 31);
    const uint32_t before = __shfl_sync(kAllLanes, sums, warp_id()) - (greater << 16 | equal);
    int32_t greater_at = greater_before + static_cast<int32_t>(before >> 16);
    int32_t equal_at = equal_before + static_cast<int32_t>(before & 0xffffu);
    const uint32_t lower = (1u << lane_id()) - 1;
#pragma unroll
    for (int32_t i = 0; i < kRounds; ++i) {
      const bool is_greater = keys[i] > threshold.key;
      const bool is_equal = keys[i] == threshold.key;
      const uint32_t greater_lanes = __ballot_sync(kAllLanes, is_greater);
      const uint32_t equal_lanes = __ballot_sync(kAllLanes, is_equal);
      const int32_t equals = equal_at + __popc(equal_lanes & lower);
      const int32_t at = greater_at + __popc(greater_lanes & lower) + min(equals, threshold.quota);
      const int32_t j = static_cast<int32_t>(begin + i * 32);
      if (is_greater || (is_equal && equals < threshold.quota)) take(at, j, keys[i]);
      if (is_equal && equals == threshold.quota - 1) last(j);
      greater_at += __popc(greater_lanes);
      equal_at += __popc(equal_lanes);
    }
    greater_before += static_cast<int32_t>(all >> 16);
    equal_before = min(equal_before + static_cast<int32_t>(all & 0xffffu), threshold.quota);
  }
}

// Selects a row and writes all its outputs. `pairs`: memory to sort in, needed for DSA_ORDER_SCORE.
template <int kThreads>
__device__ void stream_row(const RowScores& row, const RowOutput& out, const SelectParams& select,
                           uint64_t* pairs, BlockShared& shared) {
  const Threshold threshold = stream_threshold<kThreads>(row, select.k, shared);
  const bool emits = !select.cut_only();
  const bool sorts = emits && select.order == DSA_ORDER_SCORE;
  if (emits) out.fill(threshold.count, threadIdx.x, kThreads);
  if (threadIdx.x == 0) {
    out.write_count(threshold.count);
    if (threshold.count == 0) out.write_no_cut();
  }
  if (threshold.count == 0 || !(emits || out.wants_cut())) return;
  stream_selection<kThreads>(
      row, threshold, shared,
      [&](int32_t at, int32_t j, uint32_t key) {
        if (sorts) {
          pairs[at] = sort_pair(key, j);
        } else if (emits) {
          out.write(at, j);
        }
      },
      [&](int32_t j) { out.write_cut(j); });
  if (!sorts) return;
  const int64_t padded = round_up_to_power(threshold.count);
  for (int64_t i = threshold.count + threadIdx.x; i < padded; i += kThreads) pairs[i] = ~0ull;
  sort_pairs<kThreads>(pairs, padded);
  for (int32_t at = threadIdx.x; at < threshold.count; at += kThreads) {
    out.write(at, static_cast<int32_t>(pairs[at]));
  }
}

// The same for forms that come here seldom: out of line, and without DSA_ORDER_SCORE.
template <int kThreads>
__device__ __noinline__ void stream_row_of(const TopkParams& p, int64_t t, BlockShared& shared) {
  const RowScores row(p, t);
  stream_row<kThreads>(row, RowOutput(p, row), p.select, nullptr, shared);
}

}  // namespace dsa::cuda::topk
