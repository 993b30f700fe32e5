// The AVX-512 tier (F, BW, DQ, VL, and F16C): 16 lanes. Members mean what scalar.h says of them.
// Only for files compiled with the tier's flags; in an anonymous namespace so that no symbol
// leaves them.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "cpu/simd/convert.h"

namespace dsa::cpu::avx512 {
namespace {

struct Avx512 {
  static constexpr int kWidth = 16;
  static constexpr int kRegisters = 32;
  using F = __m512;
  using I = __m512i;
  using M = __mmask16;

  static M first_n(int n) { return M((1u << n) - 1u); }

  static F load(const float *p) { return _mm512_loadu_ps(p); }
  static F load_n(const float *p, int n) { return _mm512_maskz_loadu_ps(first_n(n), p); }
  static void store(float *p, F a) { _mm512_storeu_ps(p, a); }
  static void store_n(float *p, F a, int n) { _mm512_mask_storeu_ps(p, first_n(n), a); }
  static I loadi(const int32_t *p) { return _mm512_loadu_si512(p); }
  static I loadi_n(const int32_t *p, int n) { return _mm512_maskz_loadu_epi32(first_n(n), p); }
  static void storei(int32_t *p, I a) { _mm512_storeu_si512(p, a); }
  static void storei_n(int32_t *p, I a, int n) { _mm512_mask_storeu_epi32(p, first_n(n), a); }
  static F gather(const float *base, I index) { return _mm512_i32gather_ps(index, base, 4); }

  static F from_bf16(__m256i h) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
  }
  // e4m3 to f16 is a shift that leaves the value 2^-8 too small; f16 to f32 is then exact, also for
  // subnormals and whatever the caller's denormal mode is.
  static F from_e4m3(__m128i b) {
    const __m256i h = _mm256_cvtepu8_epi16(b);
    const __m256i magnitude = _mm256_and_si256(h, _mm256_set1_epi16(0x7f));
    const __mmask16 nan = _mm256_cmpeq_epi16_mask(magnitude, _mm256_set1_epi16(0x7f));
    const __m256i sign = _mm256_slli_epi16(_mm256_and_si256(h, _mm256_set1_epi16(0x80)), 8);
    __m256i f16 = _mm256_or_si256(_mm256_slli_epi16(magnitude, 7), sign);
    f16 = _mm256_mask_mov_epi16(f16, nan, _mm256_or_si256(sign, _mm256_set1_epi16(0x7e00)));
    return _mm512_mul_ps(_mm512_cvtph_ps(f16), _mm512_set1_ps(256.0f));
  }
  static __m256i load_u16(const uint16_t *p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p));
  }
  static __m256i load_u16_n(const uint16_t *p, int n) {
    return _mm256_maskz_loadu_epi16(first_n(n), p);
  }
  static F load_bf16(const uint16_t *p) { return from_bf16(load_u16(p)); }
  static F load_bf16_n(const uint16_t *p, int n) { return from_bf16(load_u16_n(p, n)); }
  static F load_f16(const uint16_t *p) { return _mm512_cvtph_ps(load_u16(p)); }
  static F load_f16_n(const uint16_t *p, int n) { return _mm512_cvtph_ps(load_u16_n(p, n)); }
  static F load_e4m3(const uint8_t *p) {
    return from_e4m3(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)));
  }
  static F load_e4m3_n(const uint8_t *p, int n) {
    return from_e4m3(_mm_maskz_loadu_epi8(first_n(n), p));
  }
  static __m256i to_bf16(F a) {
    const __m512i u = _mm512_castps_si512(a);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd);
    const __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    const __m512i h = _mm512_mask_or_epi32(rounded, nan, u, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(h, 16));
  }
  static __m256i to_f16(F a) { return _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT); }
  static void store_bf16(uint16_t *p, F a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(p), to_bf16(a));
  }
  static void store_bf16_n(uint16_t *p, F a, int n) {
    _mm256_mask_storeu_epi16(p, first_n(n), to_bf16(a));
  }
  static void store_f16(uint16_t *p, F a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(p), to_f16(a));
  }
  static void store_f16_n(uint16_t *p, F a, int n) {
    _mm256_mask_storeu_epi16(p, first_n(n), to_f16(a));
  }

  static F zero() { return _mm512_setzero_ps(); }
  static F set1(float x) { return _mm512_set1_ps(x); }
  static I set1i(int32_t x) { return _mm512_set1_epi32(x); }
  static I iota() {
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  }

  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static F min(F a, F b) { return _mm512_min_ps(a, b); }
  static F relu(F a) { return _mm512_max_ps(_mm512_setzero_ps(), a); }
  static float reduce_add(F a) {
    const __m256 y = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
  }
  // Neighbours are added while the vectors are transposed: 15 adds for 16 vectors.
  static F reduce_add_each(const F *a) {
    F x[4];
    for (int i = 0; i < 4; ++i) {
      const F p = _mm512_add_ps(_mm512_unpacklo_ps(a[4 * i], a[4 * i + 1]),
                                _mm512_unpackhi_ps(a[4 * i], a[4 * i + 1]));
      const F q = _mm512_add_ps(_mm512_unpacklo_ps(a[4 * i + 2], a[4 * i + 3]),
                                _mm512_unpackhi_ps(a[4 * i + 2], a[4 * i + 3]));
      // Each quarter of x[i]: the quarter's sums of vectors 4 i, 4 i + 1, 4 i + 2, 4 i + 3.
      x[i] = _mm512_add_ps(_mm512_shuffle_ps(p, q, 0x44), _mm512_shuffle_ps(p, q, 0xee));
    }
    const F y = _mm512_add_ps(_mm512_shuffle_f32x4(x[0], x[1], 0x88),
                              _mm512_shuffle_f32x4(x[0], x[1], 0xdd));
    const F z = _mm512_add_ps(_mm512_shuffle_f32x4(x[2], x[3], 0x88),
                              _mm512_shuffle_f32x4(x[2], x[3], 0xdd));
    return _mm512_add_ps(_mm512_shuffle_f32x4(y, z, 0x88), _mm512_shuffle_f32x4(y, z, 0xdd));
  }
  static float reduce_max(F a) {
    const __m256 y = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
  }

  static I addi(I a, I b) { return _mm512_add_epi32(a, b); }
  static I subi(I a, I b) { return _mm512_sub_epi32(a, b); }
  static I andi(I a, I b) { return _mm512_and_si512(a, b); }
  static I ori(I a, I b) { return _mm512_or_si512(a, b); }
  static I xori(I a, I b) { return _mm512_xor_si512(a, b); }
  template <int n>
  static I shl(I a) {
    return _mm512_slli_epi32(a, n);
  }
  template <int n>
  static I sar(I a) {
    return _mm512_srai_epi32(a, n);
  }
  template <int n>
  static I shr(I a) {
    return _mm512_srli_epi32(a, n);
  }
  static I maxi(I a, I b) { return _mm512_max_epi32(a, b); }
  static I mini(I a, I b) { return _mm512_min_epi32(a, b); }
  static I bits_of(F a) { return _mm512_castps_si512(a); }
  static F from_bits(I a) { return _mm512_castsi512_ps(a); }
  static I round_to_int(F a) { return _mm512_cvtps_epi32(a); }
  static F to_f32(I a) { return _mm512_cvtepi32_ps(a); }

  static M gt(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
  static M ge(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
  static M lt(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
  static M le(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
  static M eq(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
  static M is_nan(F a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
  static M gti(I a, I b) { return _mm512_cmpgt_epi32_mask(a, b); }
  static M eqi(I a, I b) { return _mm512_cmpeq_epi32_mask(a, b); }

  static uint32_t mask_bits(M m) { return m; }
  static int count(M m) { return __builtin_popcount(m); }
  static bool any(M m) { return m != 0; }
  static M and_mask(M a, M b) { return M(a & b); }
  static M or_mask(M a, M b) { return M(a | b); }
  static F select(M m, F yes, F no) { return _mm512_mask_blend_ps(m, no, yes); }
  static I selecti(M m, I yes, I no) { return _mm512_mask_blend_epi32(m, no, yes); }

  static void prefetch(const void *p) {
    _mm_prefetch(reinterpret_cast<const char *>(p), _MM_HINT_T0);
  }
};

}  // namespace
}  // namespace dsa::cpu::avx512
