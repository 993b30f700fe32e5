// A dense row in the registers of a block: a histogram, the few scores of the bin that the
// threshold is in, then the selection.
#pragma once

#include "cuda/topk/half_bin.cuh"
#include "cuda/topk/register_keys.cuh"

namespace dsa::cuda::topk {

// The threshold of k < all scores. The bins, and those of `spare` if it is given, are clear, which
// a barrier has made known.
template <class Element, int kThreads, int kSlabs>
__device__ Threshold register_threshold(const DenseCall& c,
                                        RegisterKeys<Element, kThreads, kSlabs>& own,
                                        uint32_t* spare, BlockShared& shared) {
  Threshold result;
  result.key = c.lowest - 1;
  own.count_all(shared.bins);
  __syncthreads();
  const auto bins = own_halves<kThreads>(shared.bins, c.lowest);
  uint32_t total;
  const Crossing crossing = find_crossing(bins, c.k, total, shared);
  if (total == 0) return result;
  const int32_t count = static_cast<int32_t>(min(static_cast<uint32_t>(c.k), total));
  const int32_t rank = count - crossing.above;
  bool is_few = false;
  if constexpr (RegisterKeys<Element, kThreads, kSlabs>::kKeepsHalves) {
    is_few = crossing.here <= kFewKeys && (crossing.here > rank || c.wants_cut) &&
             crossing.bin > kNegInfBin && crossing.bin < kPosInfBin;
    if (is_few) {
      own.gather_bin(crossing.bin, shared);
      __syncthreads();
      result = rank_few<kThreads>(crossing.here, rank, shared);
    }
  }
  if (!is_few) {
    result = select_within<kThreads>(own, range_of_bin(crossing.bin), crossing.here, rank,
                                     c.wants_cut, spare, shared);
  }
  result.count = count;
  return result;
}

// Selects row i, of `n` scores that the block has; `staged` has room for what is selected. The bins
// are clear, which a barrier has made known.
template <class Element, int kThreads, int kSlabs>
__device__ void register_row(const DenseCall& c, int64_t i, int32_t n, int32_t shift,
                             RegisterKeys<Element, kThreads, kSlabs>& own, uint16_t* staged,
                             uint32_t* spare, BlockShared& shared) {
  Threshold threshold;
  threshold.key = c.lowest - 1;  // all that can be selected
  if (n > c.k || c.wants_cut) threshold = register_threshold(c, own, spare, shared);
  const auto before = [] { return KeysBefore{0, 0}; };
  const int32_t count =
      emit_keys(c, i, shift, own, Cutoff(threshold, c.wants_cut), before, staged, shared);
  end_row(c, i, count, threadIdx.x, kThreads);
}

}  // namespace dsa::cuda::topk
