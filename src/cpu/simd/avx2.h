// The AVX2 + FMA + F16C tier: 8 lanes. Members mean what scalar.h says of them. Only for files
// compiled with `-mavx2 -mfma -mf16c`; in an anonymous namespace so that no symbol leaves them.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "cpu/simd/convert.h"

namespace dsa::cpu::avx2 {
namespace {

// kTailMask + 8 - n: n lanes of ones, then zeros.
alignas(32) constexpr int32_t kTailMask[16] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                               0,  0,  0,  0,  0,  0,  0,  0};

struct Avx2 {
  static constexpr int kWidth = 8;
  static constexpr int kRegisters = 16;
  using F = __m256;
  using I = __m256i;
  using M = __m256;  // all ones or all zeros a lane

  static I tail(int n) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(kTailMask + 8 - n));
  }

  static F load(const float *p) { return _mm256_loadu_ps(p); }
  static F load_n(const float *p, int n) { return _mm256_maskload_ps(p, tail(n)); }
  static void store(float *p, F a) { _mm256_storeu_ps(p, a); }
  static void store_n(float *p, F a, int n) { _mm256_maskstore_ps(p, tail(n), a); }
  static I loadi(const int32_t *p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p));
  }
  static I loadi_n(const int32_t *p, int n) { return _mm256_maskload_epi32(p, tail(n)); }
  static void storei(int32_t *p, I a) { _mm256_storeu_si256(reinterpret_cast<__m256i *>(p), a); }
  static void storei_n(int32_t *p, I a, int n) { _mm256_maskstore_epi32(p, tail(n), a); }
  static F gather(const float *base, I index) { return _mm256_i32gather_ps(base, index, 4); }

  static F from_bf16(__m128i h) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
  }
  // e4m3 to f16 is a shift that leaves the value 2^-8 too small; f16 to f32 is then exact, also for
  // subnormals and whatever the caller's denormal mode is.
  static F from_e4m3(__m128i b) {
    const __m128i h = _mm_cvtepu8_epi16(b);
    const __m128i magnitude = _mm_and_si128(h, _mm_set1_epi16(0x7f));
    const __m128i nan = _mm_cmpeq_epi16(magnitude, _mm_set1_epi16(0x7f));
    const __m128i sign = _mm_slli_epi16(_mm_and_si128(h, _mm_set1_epi16(0x80)), 8);
    const __m128i number = _mm_slli_epi16(magnitude, 7);
    const __m128i f16 = _mm_or_si128(sign, _mm_blendv_epi8(number, _mm_set1_epi16(0x7e00), nan));
    return _mm256_mul_ps(_mm256_cvtph_ps(f16), _mm256_set1_ps(256.0f));
  }
  // AVX2 has no masked 16-bit load: tails go through the stack.
  static __m128i load_u16_n(const uint16_t *p, int n) {
    alignas(16) uint16_t lanes[8] = {};
    memcpy(lanes, p, size_t(n) * sizeof(uint16_t));
    return _mm_load_si128(reinterpret_cast<const __m128i *>(lanes));
  }
  static void store_u16_n(uint16_t *p, __m128i h, int n) {
    alignas(16) uint16_t lanes[8];
    _mm_store_si128(reinterpret_cast<__m128i *>(lanes), h);
    memcpy(p, lanes, size_t(n) * sizeof(uint16_t));
  }
  static __m128i load_u16(const uint16_t *p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i *>(p));
  }
  static F load_bf16(const uint16_t *p) { return from_bf16(load_u16(p)); }
  static F load_bf16_n(const uint16_t *p, int n) { return from_bf16(load_u16_n(p, n)); }
  static F load_f16(const uint16_t *p) { return _mm256_cvtph_ps(load_u16(p)); }
  static F load_f16_n(const uint16_t *p, int n) { return _mm256_cvtph_ps(load_u16_n(p, n)); }
  static F load_e4m3(const uint8_t *p) {
    return from_e4m3(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(p)));
  }
  static F load_e4m3_n(const uint8_t *p, int n) {
    uint64_t lanes = 0;
    memcpy(&lanes, p, size_t(n));
    return from_e4m3(_mm_cvtsi64_si128(int64_t(lanes)));
  }
  static __m128i to_bf16(F a) {
    const __m256i u = _mm256_castps_si256(a);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd);
    const __m256i quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    const __m256i h = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
  }
  static __m128i to_f16(F a) { return _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT); }
  static void store_bf16(uint16_t *p, F a) {
    _mm_storeu_si128(reinterpret_cast<__m128i *>(p), to_bf16(a));
  }
  static void store_bf16_n(uint16_t *p, F a, int n) { store_u16_n(p, to_bf16(a), n); }
  static void store_f16(uint16_t *p, F a) {
    _mm_storeu_si128(reinterpret_cast<__m128i *>(p), to_f16(a));
  }
  static void store_f16_n(uint16_t *p, F a, int n) { store_u16_n(p, to_f16(a), n); }

  static F zero() { return _mm256_setzero_ps(); }
  static F set1(float x) { return _mm256_set1_ps(x); }
  static I set1i(int32_t x) { return _mm256_set1_epi32(x); }
  static I iota() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }

  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F div(F a, F b) { return _mm256_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F max(F a, F b) { return _mm256_max_ps(a, b); }
  static F min(F a, F b) { return _mm256_min_ps(a, b); }
  static F relu(F a) { return _mm256_max_ps(_mm256_setzero_ps(), a); }
  static float reduce_add(F a) {
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
  }
  // Neighbours are added while the vectors are transposed: 7 adds for 8 vectors.
  static F reduce_add_each(const F *a) {
    const F x = _mm256_hadd_ps(_mm256_hadd_ps(a[0], a[1]), _mm256_hadd_ps(a[2], a[3]));
    const F y = _mm256_hadd_ps(_mm256_hadd_ps(a[4], a[5]), _mm256_hadd_ps(a[6], a[7]));
    return _mm256_add_ps(_mm256_permute2f128_ps(x, y, 0x20), _mm256_permute2f128_ps(x, y, 0x31));
  }
  static float reduce_max(F a) {
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
  }

  static I addi(I a, I b) { return _mm256_add_epi32(a, b); }
  static I subi(I a, I b) { return _mm256_sub_epi32(a, b); }
  static I andi(I a, I b) { return _mm256_and_si256(a, b); }
  static I ori(I a, I b) { return _mm256_or_si256(a, b); }
  static I xori(I a, I b) { return _mm256_xor_si256(a, b); }
  template <int n>
  static I shl(I a) {
    return _mm256_slli_epi32(a, n);
  }
  template <int n>
  static I sar(I a) {
    return _mm256_srai_epi32(a, n);
  }
  template <int n>
  static I shr(I a) {
    return _mm256_srli_epi32(a, n);
  }
  static I maxi(I a, I b) { return _mm256_max_epi32(a, b); }
  static I mini(I a, I b) { return _mm256_min_epi32(a, b); }
  static I bits_of(F a) { return _mm256_castps_si256(a); }
  static F from_bits(I a) { return _mm256_castsi256_ps(a); }
  static I round_to_int(F a) { return _mm256_cvtps_epi32(a); }
  static F to_f32(I a) { return _mm256_cvtepi32_ps(a); }

  static M gt(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
  static M ge(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_GE_OQ); }
  static M lt(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
  static M le(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
  static M eq(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
  static M is_nan(F a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
  static M gti(I a, I b) { return _mm256_castsi256_ps(_mm256_cmpgt_epi32(a, b)); }
  static M eqi(I a, I b) { return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)); }

  static M first_n(int n) { return _mm256_castsi256_ps(tail(n)); }
  static uint32_t mask_bits(M m) { return uint32_t(_mm256_movemask_ps(m)); }
  static int count(M m) { return __builtin_popcount(mask_bits(m)); }
  static bool any(M m) { return mask_bits(m) != 0; }
  static M and_mask(M a, M b) { return _mm256_and_ps(a, b); }
  static M or_mask(M a, M b) { return _mm256_or_ps(a, b); }
  static F select(M m, F yes, F no) { return _mm256_blendv_ps(no, yes, m); }
  static I selecti(M m, I yes, I no) { return _mm256_blendv_epi8(no, yes, _mm256_castps_si256(m)); }

  static void prefetch(const void *p) {
    _mm_prefetch(reinterpret_cast<const char *>(p), _MM_HINT_T0);
  }
};

}  // namespace
}  // namespace dsa::cpu::avx2
