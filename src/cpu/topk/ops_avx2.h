// What top-k needs beyond the tier struct: comparisons as bits and compression, which AVX2 does
// with a table of permutations.
#pragma once

#include "cpu/simd/avx2.h"

namespace dsa::cpu::avx2 {
namespace {

// kCompress.lanes[bits]: the positions of the set bits, ascending; 2 KiB.
struct CompressTable {
  alignas(64) uint8_t lanes[256][8];
  constexpr CompressTable() : lanes{} {
    for (int bits = 0; bits < 256; ++bits) {
      int n = 0;
      for (int j = 0; j < 8; ++j) {
        if (bits >> j & 1) lanes[bits][n++] = uint8_t(j);
      }
    }
  }
};
constexpr CompressTable kCompress;

struct TopkOps : Avx2 {
  struct Compressor {
    __m256i order;
    explicit Compressor(uint32_t bits)
        : order(_mm256_cvtepu8_epi32(
              _mm_loadl_epi64(reinterpret_cast<const __m128i *>(kCompress.lanes[bits])))) {}
    F operator()(F a) const { return _mm256_permutevar8x32_ps(a, order); }
    I operator()(I a) const { return _mm256_permutevar8x32_epi32(a, order); }
  };
  static void store_half(float *p, F a) { _mm_storeu_ps(p, _mm256_castps256_ps128(a)); }
  static void store_halfi(int32_t *p, I a) {
    _mm_storeu_si128(reinterpret_cast<__m128i *>(p), _mm256_castsi256_si128(a));
  }
  static uint32_t gt_bits(F a, F b) { return mask_bits(gt(a, b)); }
  static uint32_t ge_bits(F a, F b) { return mask_bits(ge(a, b)); }
  static uint32_t eq_bits(F a, F b) { return mask_bits(eq(a, b)); }
  static F keep_gt(F a, F b, F other) { return select(gt(a, b), a, other); }
  static F keep_le(F a, F b, F other) { return select(le(a, b), a, other); }
  // n plus 1 where a > b.
  static I count_gt(F a, F b, I n) { return _mm256_sub_epi32(n, _mm256_castps_si256(gt(a, b))); }
  // Lanes where n < limit, else the other one.
  static F keep_below(I n, I limit, F a, F other) {
    return select(_mm256_castsi256_ps(_mm256_cmpgt_epi32(limit, n)), a, other);
  }
  static float reduce_min(F a) {
    __m128 x = _mm_min_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_min_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_min_ss(x, _mm_movehdup_ps(x)));
  }
};

}  // namespace
}  // namespace dsa::cpu::avx2
