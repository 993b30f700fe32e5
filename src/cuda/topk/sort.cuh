// Sorting a row's selection by score.
#pragma once

#include <cstdint>

namespace dsa::cuda::topk {

__host__ __device__ constexpr int64_t round_up_to_power(int64_t n) {
  int64_t power = 1;
  while (power < n) power *= 2;
  return power;
}

// Ascending in (score descending, j ascending).
__device__ inline uint64_t sort_pair(uint32_t key, int32_t j) {
  return uint64_t{~key} << 32 | static_cast<uint32_t>(j);
}

// Bitonic sort, ascending, by all threads of the block; `n` is a power of two. Shared or global
// memory. Begins and ends with a barrier.
template <int kThreads>
__device__ void sort_pairs(uint64_t* pairs, int64_t n) {
  for (int64_t size = 2; size <= n; size *= 2) {
    for (int64_t stride = size / 2; stride > 0; stride /= 2) {
      __syncthreads();
      for (int64_t i = threadIdx.x; i < n / 2; i += kThreads) {
        const int64_t a = 2 * i - (i & (stride - 1));
        const int64_t b = a + stride;
        const uint64_t x = pairs[a], y = pairs[b];
        const bool rising = (a & size) == 0;
        if ((x > y) == rising) {
          pairs[a] = y;
          pairs[b] = x;
        }
      }
    }
  }
  __syncthreads();
}

}  // namespace dsa::cuda::topk
