#include <immintrin.h>

#include "roofs/loops.h"

namespace bench::roofs {

extern const double kAvx512Bf16Flop = 20 * 8 * 32 * 2;

// 20 sums: vdpbf16ps takes 6 cycles on Zen 4 and Sapphire Rapids; up to two start in each.
float multiply_add_avx512_bf16(int64_t rounds) {
  constexpr int kSums = 20;
  __m512 sum[kSums];
  for (int i = 0; i < kSums; ++i) sum[i] = _mm512_set1_ps(float(i + 1));
  __m512bh a = (__m512bh)_mm512_set1_epi16(0x3f80);                         // 1
  __m512bh b = (__m512bh)_mm512_set1_epi32(static_cast<int>(0xbf803f80u));  // 1, -1
  for (int64_t r = 0; r < rounds; ++r) {
    asm volatile("" : "+v"(a), "+v"(b));
    for (int step = 0; step < 8; ++step) {
#pragma GCC unroll 20
      for (int i = 0; i < kSums; ++i) sum[i] = _mm512_dpbf16_ps(sum[i], a, b);
    }
  }
  for (int i = 1; i < kSums; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  float lanes[16], total = 0;
  _mm512_storeu_ps(lanes, sum[0]);
  for (int i = 0; i < 16; ++i) total += lanes[i];
  return total;
}

}  // namespace bench::roofs
