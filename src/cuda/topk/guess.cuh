// Where the k-th largest of a row's scores is looked for first: where it would be if they were
// normal. Nothing but time depends on it.
#pragma once

#include <cmath>
#include <cstdint>

namespace dsa::cuda::topk {

// In standard deviations: how far above the mean the k-th largest of n is, and its distance to the
// next ones there.
struct NormalRank {
  float place, spacing;
  float share_of_one;  // 1 / n

  __host__ __device__ NormalRank(float k, float n) {
    const float share = (k - 0.5f) / n;
    const float tail = fminf(share, 1 - share);
    // Abramowitz and Stegun, 26.2.22.
    const float t = sqrtf(-2 * logf(tail));
    const float z = t - (2.30753f + 0.27061f * t) / (1 + t * (0.99229f + 0.04481f * t));
    place = share < 0.5f ? z : -z;
    share_of_one = 1 / n;
    spacing = 2.5066f * expf(0.5f * z * z) * share_of_one;
  }
};

// How many standard deviations above the mean the largest of 2^doublings is, on average.
__host__ __device__ constexpr float deviations_of_largest(float doublings) {
  return doublings * (0.62f - 0.038f * doublings);
}

}  // namespace dsa::cuda::topk
