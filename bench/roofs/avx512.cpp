#include <immintrin.h>

#include "roofs/loops.h"

namespace bench::roofs {
namespace {

// 16 sums: fused multiply-adds take 4 cycles, up to two start in each.
float multiply_add(int64_t rounds) {
  constexpr int kSums = 16;
  __m512 sum[kSums];
  for (int i = 0; i < kSums; ++i) sum[i] = _mm512_set1_ps(float(i + 1));
  __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(1.0f);
  for (int64_t r = 0; r < rounds; ++r) {
    asm volatile("" : "+v"(a), "+v"(b));
    for (int step = 0; step < 8; ++step) {
#pragma GCC unroll 16
      for (int i = 0; i < kSums; ++i) sum[i] = _mm512_fmadd_ps(sum[i], a, b);
    }
  }
  for (int i = 1; i < kSums; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  float lanes[16], total = 0;
  _mm512_storeu_ps(lanes, sum[0]);
  for (int i = 0; i < 16; ++i) total += lanes[i];
  return total;
}

float maximum(const float* x, int64_t n) {
  constexpr int kParts = 8;
  __m512 best[kParts];
  for (int i = 0; i < kParts; ++i) best[i] = _mm512_loadu_ps(x + 16 * i);
  for (int64_t j = 16 * kParts; j < n; j += 16 * kParts) {
#pragma GCC unroll 8
    for (int i = 0; i < kParts; ++i) {
      best[i] = _mm512_max_ps(best[i], _mm512_loadu_ps(x + j + 16 * i));
    }
  }
  for (int i = 1; i < kParts; ++i) best[0] = _mm512_max_ps(best[0], best[i]);
  float lanes[16];
  _mm512_storeu_ps(lanes, best[0]);
  float most = lanes[0];
  for (int i = 1; i < 16; ++i) most = lanes[i] > most ? lanes[i] : most;
  return most;
}

uint64_t read(const uint64_t* x, int64_t n_words) {
  constexpr int kParts = 8;
  __m512i sum[kParts];
  for (int i = 0; i < kParts; ++i) sum[i] = _mm512_setzero_si512();
  for (int64_t j = 0; j < n_words; j += 8 * kParts) {
#pragma GCC unroll 8
    for (int i = 0; i < kParts; ++i) {
      sum[i] = _mm512_add_epi64(sum[i], _mm512_loadu_si512(x + j + 8 * i));
    }
  }
  for (int i = 1; i < kParts; ++i) sum[0] = _mm512_add_epi64(sum[0], sum[i]);
  uint64_t lanes[8], total = 0;
  _mm512_storeu_si512(lanes, sum[0]);
  for (int i = 0; i < 8; ++i) total += lanes[i];
  return total;
}

}  // namespace

extern const Loops kAvx512 = {multiply_add, 16 * 8 * 16 * 2, maximum, read};

}  // namespace bench::roofs
