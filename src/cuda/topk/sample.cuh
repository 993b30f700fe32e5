// A gate for a long row, from a sample of it: a score that the k largest pass, but for bad luck.
// Whoever uses it counts what passes.
#pragma once

#include "cuda/topk/crossing.cuh"
#include "cuda/topk/key.cuh"

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

// One element at a hashed place of each of kThreads * own equal parts, own <= kOwn and a power of
// two: rising and falling rows then sample at their true quantiles, and no period is met. All
// blocks that ask for the same row get the same gate. It lies 4 sigma below the k-th largest: too
// few pass once in 30,000 rows. Not many more than `most` pass.
template <int kThreads, int kOwn, class Element>
__device__ Gate sample_gate(const char* first, int32_t n, Element element, int32_t k, int32_t own,
                            int32_t most, uint32_t lowest, BlockShared& shared) {
  const int32_t size = kThreads * own;
  const int32_t shift_of_size = 31 - __clz(size);
  uint32_t keys[kOwn];
#pragma unroll
  for (int32_t i = 0; i < kOwn; ++i) {
    if (i >= own) break;
    const uint32_t part = threadIdx.x + i * kThreads;
    // Element part + a random share of 1, in units of n / size.
    const uint64_t scaled = (uint64_t{part} << 32 | hash(part)) >> shift_of_size;
    const int32_t j = static_cast<int32_t>(scaled * static_cast<uint32_t>(n) >> 32);
    keys[i] = selectable_key(element.at(first, j), lowest);
  }
  const float share = static_cast<float>(size) / static_cast<float>(n);
  const float expected = static_cast<float>(k) * share;
  const int32_t rank = static_cast<int32_t>(expected + 4 * sqrtf(fmaxf(expected, 1.0f))) + 1;
  const int32_t enough = max(rank, min(rank + rank / 2 + 8, static_cast<int32_t>(most * share)));
  uint32_t low = 0;
  int32_t top = 32, above = 0;
#pragma unroll 1
  for (int32_t digit = 0; digit < 3; ++digit) {
    const int32_t shift = digit == 0 ? 21 : digit == 1 ? 10 : 0;
    clear_bins<kThreads>(shared.bins);
    __syncthreads();
#pragma unroll
    for (int32_t i = 0; i < kOwn; ++i) {
      if (i >= own) break;
      const bool inside = digit == 0 ? keys[i] != kNoKey : (keys[i] - low) >> top == 0;
      if (inside) atomicAdd(&shared.bins[(keys[i] - low) >> shift], 1u);
    }
    __syncthreads();
    uint32_t total;
    const Crossing crossing = find_crossing<kThreads>(shared.bins, rank - above, total, shared);
    if (static_cast<int32_t>(total) < rank - above) return {-__builtin_inff(), true};
    low += static_cast<uint32_t>(crossing.bin) << shift;
    above += crossing.above;
    top = shift;
    // The bin's lower end will do when not many more than wanted lie above it.
    if (above + crossing.here <= enough) break;
  }
  if (top == 0) return {score_of(low), true};
  // The score before the bin's first: there is none between the zeros.
  low = max(low, kNegInfKey + 1);
  return {score_of(low == 0x80000000u ? low - 2 : low - 1), false};
}

}  // namespace dsa::cuda::topk
