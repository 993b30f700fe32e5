#include <immintrin.h>

#include "roofs/loops.h"

namespace bench::roofs {
namespace {

// 12 sums: fused multiply-adds take 4 to 5 cycles, two start in each.
float multiply_add(int64_t rounds) {
  constexpr int kSums = 12;
  __m256 sum[kSums];
  for (int i = 0; i < kSums; ++i) sum[i] = _mm256_set1_ps(float(i + 1));
  __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(1.0f);
  for (int64_t r = 0; r < rounds; ++r) {
    asm volatile("" : "+x"(a), "+x"(b));
    for (int step = 0; step < 8; ++step) {
#pragma GCC unroll 12
      for (int i = 0; i < kSums; ++i) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
    }
  }
  for (int i = 1; i < kSums; ++i) sum[0] = _mm256_add_ps(sum[0], sum[i]);
  float lanes[8];
  _mm256_storeu_ps(lanes, sum[0]);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3] + lanes[4] + lanes[5] + lanes[6] + lanes[7];
}

float maximum(const float* x, int64_t n) {
  constexpr int kParts = 8;
  __m256 best[kParts];
  for (int i = 0; i < kParts; ++i) best[i] = _mm256_loadu_ps(x + 8 * i);
  for (int64_t j = 8 * kParts; j < n; j += 8 * kParts) {
#pragma GCC unroll 8
    for (int i = 0; i < kParts; ++i) {
      best[i] = _mm256_max_ps(best[i], _mm256_loadu_ps(x + j + 8 * i));
    }
  }
  for (int i = 1; i < kParts; ++i) best[0] = _mm256_max_ps(best[0], best[i]);
  float lanes[8];
  _mm256_storeu_ps(lanes, best[0]);
  float most = lanes[0];
  for (int i = 1; i < 8; ++i) most = lanes[i] > most ? lanes[i] : most;
  return most;
}

uint64_t read(const uint64_t* x, int64_t n_words) {
  constexpr int kParts = 8;
  __m256i sum[kParts];
  for (int i = 0; i < kParts; ++i) sum[i] = _mm256_setzero_si256();
  for (int64_t j = 0; j < n_words; j += 4 * kParts) {
#pragma GCC unroll 8
    for (int i = 0; i < kParts; ++i) {
      const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + j + 4 * i));
      sum[i] = _mm256_add_epi64(sum[i], v);
    }
  }
  for (int i = 1; i < kParts; ++i) sum[0] = _mm256_add_epi64(sum[0], sum[i]);
  uint64_t lanes[4];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), sum[0]);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

}  // namespace

extern const Loops kAvx2 = {multiply_add, 12 * 8 * 8 * 2, maximum, read};

}  // namespace bench::roofs
