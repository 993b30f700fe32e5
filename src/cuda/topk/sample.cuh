// A gate for a long row, from a sample of it: a score that the k largest reach, but for bad luck.
// Whoever uses it counts what passes.
#pragma once

#include "cuda/topk/crossing.cuh"
#include "cuda/topk/row.cuh"

namespace dsa::cuda::topk {

__device__ inline uint32_t hash(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}

// One element at a hashed place of each of kThreads * kOwn equal parts: rising and falling rows
// then sample at their true quantiles, and no period is met. -inf: no gate. All blocks that ask for
// the same row get the same.
template <int kThreads, int kOwn>
__device__ float sample_gate(const RowScores& row, int32_t k, BlockShared& shared) {
  constexpr int32_t kSize = kThreads * kOwn;
  uint32_t keys[kOwn];
#pragma unroll
  for (int32_t i = 0; i < kOwn; ++i) {
    const uint32_t part = threadIdx.x + i * kThreads;
    const uint64_t scaled = (uint64_t{part} << 32 | hash(part)) / kSize;  // of 2^32, into the row
    const int32_t j = static_cast<int32_t>(scaled * static_cast<uint32_t>(row.n) >> 32);
    keys[i] = selectable_key(row.score(j), row.lowest);
  }
  // 4 sigma: too few pass once in 30,000 rows.
  const float expected = static_cast<float>(k) * kSize / static_cast<float>(row.n);
  const int32_t rank = static_cast<int32_t>(expected + 4 * sqrtf(fmaxf(expected, 1.0f))) + 1;
  uint32_t low = 0;
  int32_t top = 32, above = 0;
  for (const int32_t shift : {21, 10, 0}) {
    clear_bins<kThreads>(shared.bins);
    __syncthreads();
#pragma unroll
    for (int32_t i = 0; i < kOwn; ++i) {
      const bool inside = top == 32 ? keys[i] != kNoKey : (keys[i] - low) >> top == 0;
      if (inside) atomicAdd(&shared.bins[(keys[i] - low) >> shift], 1u);
    }
    __syncthreads();
    uint32_t total;
    const Crossing crossing = find_crossing<kThreads>(shared.bins, rank - above, total, shared);
    if (static_cast<int32_t>(total) < rank - above) break;
    low += static_cast<uint32_t>(crossing.bin) << shift;
    above += crossing.above;
    top = shift;
    // The bin's lower end will do when not many more than wanted lie above it.
    if (above + crossing.here <= rank + rank / 2 + 8) break;
  }
  // Below the key of -inf are only NaNs.
  return top == 32 ? -__builtin_inff() : score_of(max(low, kNegInfKey));
}

}  // namespace dsa::cuda::topk
