// A gate for a long row, from a sample of it: a score that the k largest pass, but for bad luck.
// Whoever uses it counts what passes.
#pragma once

#include "cuda/topk/crossing.cuh"
#include "cuda/topk/half_bin.cuh"
#include "cuda/topk/slab.cuh"

namespace dsa::cuda::topk {

struct Gate {
  float score;  // what is above it passes
  // Scores equal to it must be counted as well: it is an element's own, or there is none (-inf).
  bool counts_equal;
};

__device__ inline uint32_t hash(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}

// Slabs of a thread, `own` of kOwn: those at a hashed place of each of kThreads * own equal parts
// of the row, a power of two. Rising and falling rows then sample at their true quantiles, and no
// period is met. Single scores would read four times the bytes, much of what a row takes.
template <int kOwn>
struct Sample {
  uint4 slabs[kOwn];
  int32_t own;
};

template <int kThreads, int kOwn, class Element>
__device__ Sample<kOwn> load_sample(const Slice<Element>& row, int32_t own) {
  const int32_t shift_of_parts = 31 - __clz(kThreads * own);
  Sample<kOwn> sample;
  sample.own = own;
#pragma unroll
  for (int32_t i = 0; i < kOwn; ++i) {
    if (i >= own) break;
    const uint32_t part = threadIdx.x + i * kThreads;
    // Slab part + a random share of 1, in units of the row's slabs / parts.
    const uint64_t scaled = (uint64_t{part} << 32 | hash(part)) >> shift_of_parts;
    sample.slabs[i] = row.load(static_cast<int32_t>(scaled * static_cast<uint32_t>(row.end) >> 32));
  }
  return sample;
}

// The bins are clear, which a barrier has made known or makes known with the sample. All blocks
// that ask for the same row get the same gate. It lies 4 sigma below the k-th largest of n scores,
// by a sample half as large because neighbours are alike: too few pass once in 30,000 rows. Not
// many more than `most` pass.
template <int kThreads, int kOwn, class Element>
__device__ Gate sample_gate(const Sample<kOwn>& sample, int32_t n, Element element, int32_t k,
                            int32_t most, uint32_t lowest, BlockShared& shared) {
  constexpr int32_t kCount = Element::kCount;
  const float share = static_cast<float>(kThreads * sample.own * kCount) / static_cast<float>(n);
  const float expected = static_cast<float>(k) * share;
  const int32_t rank = static_cast<int32_t>(expected + 4 * sqrtf(2 * fmaxf(expected, 1.0f))) + 1;
  const int32_t enough = max(rank, min(rank + rank / 2 + 8, static_cast<int32_t>(most * share)));
  const uint32_t bins = shared_address(shared.bins);
  KeyRange range;
  int32_t above = 0;
#pragma unroll 1
  for (int32_t digit = 0;; ++digit) {
    if (digit > 0) {
      clear_bins<kThreads>(shared.bins);
      __syncthreads();
    }
#pragma unroll
    for (int32_t i = 0; i < kOwn; ++i) {
      if (i >= sample.own) break;
      float x[kCount];
      element.unpack(sample.slabs[i], x);
      if (digit == 0) {
#pragma unroll
        for (int32_t e = 0; e < kCount; e += 2) count_halves(x[e], x[e + 1], bins);
      } else {
#pragma unroll
        for (int32_t e = 0; e < kCount; ++e) {
          const uint32_t key = key_of_number(x[e]);
          if (range.has(key)) atomicAdd(&shared.bins[range.bin(key)], 1u);
        }
      }
    }
    __syncthreads();
    const OwnBins<kThreads> own_bins =
        digit == 0 ? own_halves<kThreads>(shared.bins, lowest) : OwnBins<kThreads>(shared.bins);
    uint32_t total;
    const Crossing crossing = find_crossing(own_bins, rank - above, total, shared);
    if (static_cast<int32_t>(total) < rank - above) return {-__builtin_inff(), true};
    above += crossing.above;
    range = digit == 0 ? range_of_bin(crossing.bin) : range.of_bin(crossing.bin);
    if (range.size == 0) return {score_of(range.low), true};
    // The bin's lower end will do when not many more than wanted lie above it.
    if (above + crossing.here <= enough) break;
  }
  // The score before the bin's first: there is none between the zeros.
  const uint32_t low = max(range.low, kNegInfKey + 1);
  return {score_of(low == 0x80000000u ? low - 2 : low - 1), false};
}

}  // namespace dsa::cuda::topk
