// A dense row in the registers of a block: 11 key bits a histogram, mostly two of them, then the
// selection.
#pragma once

#include "cuda/topk/register_keys.cuh"

namespace dsa::cuda::topk {

struct RegisterShared {
  BlockShared block;  // its bins: first and third histogram
  alignas(16) uint32_t second[kBins + 4];
  int32_t cut;
};

// Then what is selected, as 16-bit places.
constexpr int32_t register_shared_bytes(int64_t selected) {
  return static_cast<int32_t>(sizeof(RegisterShared) + selected * sizeof(uint16_t));
}

// Before the first row, and a barrier.
template <int kThreads>
__device__ void clear_registers(RegisterShared& shared) {
  clear_bins<kThreads>(shared.block.bins);
  clear_bins<kThreads>(shared.second);
  if (threadIdx.x == 0) shared.cut = -1;
}

// The threshold of k < all keys. Both histograms are clear, which a barrier has made known.
template <class Element, int kThreads, int kSlabs>
__device__ Threshold register_threshold(const DenseCall& c,
                                        const RegisterKeys<Element, kThreads, kSlabs>& keys,
                                        RegisterShared& shared) {
  Threshold result;
  result.key = c.lowest - 1;
  uint32_t low = 0;
  int32_t rank = c.k;
#pragma unroll 1
  for (int32_t digit = 0; digit < 3; ++digit) {
    uint32_t* const bins = digit == 1 ? shared.second : shared.block.bins;
    const int32_t shift = digit == 0 ? 21 : digit == 1 ? 10 : 0;
    if (digit == 0) {
      keys.each([&](uint32_t key) { atomicAdd(&bins[key >> 21], 1u); });
    } else {
      const uint32_t range = digit == 1 ? 1u << 11 : 1u << 10;
      keys.each([&](uint32_t key) {
        // The others all go to one bin more: a branch would cost more.
        const uint32_t bin = (key - low) >> shift;
        atomicAdd(&bins[bin < range ? bin : kBins], 1u);
      });
    }
    __syncthreads();
    // For the third: nobody reads the first any more.
    if (digit == 1) clear_bins<kThreads>(shared.block.bins);
    OwnBins<kThreads> own(bins);
    if (digit == 0) own.drop_below(static_cast<int32_t>(c.lowest >> 21));
    uint32_t total;
    const Crossing crossing = find_crossing(own, rank, total, shared.block);
    if (total == 0) return result;
    if (digit == 0) {
      rank = static_cast<int32_t>(min(static_cast<uint32_t>(rank), total));
      result.count = rank;
    }
    rank -= crossing.above;
    low += static_cast<uint32_t>(crossing.bin) << shift;
    result.key = low;
    result.quota = rank;
    result.equal = crossing.here;
    if (digit < 2 && crossing.here == rank && !c.wants_cut) {
      result.key = low - 1;
      result.quota = result.equal = 0;
      break;
    }
  }
  return result;
}

// Rows of up to kThreads * kSlabs slabs; after clear_registers and a barrier.
template <class Element, int kThreads, int kSlabs>
__device__ void register_row(const DenseCall& c, int64_t row_number, const Slice<Element>& slice,
                             RegisterShared& shared) {
  const RegisterKeys<Element, kThreads, kSlabs> own(c, slice);
  Threshold threshold;
  threshold.key = c.lowest - 1;  // all that can be selected
  if (slice.row_end - slice.shift > c.k || c.wants_cut)
    threshold = register_threshold(c, own, shared);
  const auto before = [] { return KeysBefore{0, 0}; };
  const int32_t count =
      emit_keys(c, row_number, slice.shift, own, Cutoff(threshold, c.wants_cut), before,
                reinterpret_cast<uint16_t*>(&shared + 1), shared.cut, shared.block);
  end_row(c, row_number, count, threadIdx.x, kThreads);
}

}  // namespace dsa::cuda::topk
