// What top-k needs beyond the tier struct: comparisons as bits and compression.
#pragma once

#include "cpu/simd/avx512.h"

namespace dsa::cpu::avx512 {
namespace {

struct TopkOps : Avx512 {
  // In registers, merging: Zen 4 runs the memory form of vpcompress at a twentieth of the rate,
  // and zero-masking slower than merging.
  struct Compressor {
    __mmask16 mask;
    explicit Compressor(uint32_t bits) : mask(__mmask16(bits)) {}
    F operator()(F a) const { return _mm512_mask_compress_ps(a, mask, a); }
    I operator()(I a) const { return _mm512_mask_compress_epi32(a, mask, a); }
  };
  static void store_half(float *p, F a) { _mm256_storeu_ps(p, _mm512_castps512_ps256(a)); }
  static void store_halfi(int32_t *p, I a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(p), _mm512_castsi512_si256(a));
  }
  static uint32_t gt_bits(F a, F b) { return gt(a, b); }
  static uint32_t ge_bits(F a, F b) { return ge(a, b); }
  static uint32_t eq_bits(F a, F b) { return eq(a, b); }
  static F keep_gt(F a, F b, F other) { return _mm512_mask_mov_ps(other, gt(a, b), a); }
  static F keep_le(F a, F b, F other) { return _mm512_mask_mov_ps(other, le(a, b), a); }
  // n plus 1 where a > b.
  static I count_gt(F a, F b, I n) {
    return _mm512_mask_sub_epi32(n, gt(a, b), n, _mm512_set1_epi32(-1));
  }
  // Lanes where n < limit, else the other one.
  static F keep_below(I n, I limit, F a, F other) {
    return _mm512_mask_mov_ps(other, _mm512_cmplt_epi32_mask(n, limit), a);
  }
  static float reduce_min(F a) {
    const __m256 y = _mm256_min_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 x = _mm_min_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    x = _mm_min_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_min_ss(x, _mm_movehdup_ps(x)));
  }
};

}  // namespace
}  // namespace dsa::cpu::avx512
