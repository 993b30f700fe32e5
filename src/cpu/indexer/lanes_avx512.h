// What pack_keys_x86.inl.h needs of AVX-512: 16 keys a vector.
#pragma once

#include <immintrin.h>

#include "cpu/indexer/tier.h"

namespace dsa::cpu::avx512 {
namespace {

struct KeyLanes {
  using I = __m512i;
  static constexpr int kKeys = 16;

  static __m128i load16(const uint8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  static I gather16(const uint8_t* const* rows, size_t offset) {
    I v = _mm512_castsi128_si512(load16(rows[0] + offset));
    v = _mm512_inserti32x4(v, load16(rows[4] + offset), 1);
    v = _mm512_inserti32x4(v, load16(rows[8] + offset), 2);
    return _mm512_inserti32x4(v, load16(rows[12] + offset), 3);
  }
  static I low32(I a, I b) { return _mm512_unpacklo_epi32(a, b); }
  static I high32(I a, I b) { return _mm512_unpackhi_epi32(a, b); }
  static I low64(I a, I b) { return _mm512_unpacklo_epi64(a, b); }
  static I high64(I a, I b) { return _mm512_unpackhi_epi64(a, b); }
  static void copy(const float* from, float* to) { _mm512_storeu_ps(to, _mm512_loadu_ps(from)); }

  // Two f16 a unit: the low halves of all keys to `out`, the high halves to the row after it.
  static void widen_f16(I unit, float scale, float* out, ptrdiff_t next) {
    const I order = _mm512_set_epi16(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1, 30,
                                     28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const I split = _mm512_permutexvar_epi16(order, unit);
    const __m512 factor = _mm512_set1_ps(scale);
    _mm512_storeu_ps(out, _mm512_mul_ps(factor, _mm512_cvtph_ps(_mm512_castsi512_si256(split))));
    _mm512_storeu_ps(out + next,
                     _mm512_mul_ps(factor, _mm512_cvtph_ps(_mm512_extracti64x4_epi64(split, 1))));
  }
  // e4m3 in the high byte of each 16-bit half to f16, 2^-8 too small (simd/avx512.h, from_e4m3).
  static I e4m3_to_f16(I half) {
    const I magnitude = _mm512_and_si512(half, _mm512_set1_epi16(0x7f00));
    const __mmask32 nan = _mm512_cmpeq_epi16_mask(magnitude, _mm512_set1_epi16(0x7f00));
    const I sign = _mm512_and_si512(half, _mm512_set1_epi16(int16_t(0x8000)));
    const I f16 = _mm512_or_si512(sign, _mm512_srli_epi16(magnitude, 1));
    return _mm512_mask_mov_epi16(f16, nan, _mm512_set1_epi16(0x7e00));
  }

  // One unit of all keys to its elements, element i at out + i * next.
  template <IndexerType type>
  static void widen(I unit, float* out, ptrdiff_t next) {
    if constexpr (type == IndexerType::kF32) {
      _mm512_storeu_ps(out, _mm512_castsi512_ps(unit));
    } else if constexpr (type == IndexerType::kBf16) {
      _mm512_storeu_ps(out, _mm512_castsi512_ps(_mm512_slli_epi32(unit, 16)));
      const I high = _mm512_and_si512(unit, _mm512_set1_epi32(int32_t(0xffff0000)));
      _mm512_storeu_ps(out + next, _mm512_castsi512_ps(high));
    } else if constexpr (type == IndexerType::kF16) {
      widen_f16(unit, 1.0f, out, next);
    } else {
      widen_f16(e4m3_to_f16(_mm512_slli_epi16(unit, 8)), 256.0f, out, 2 * next);
      widen_f16(e4m3_to_f16(_mm512_and_si512(unit, _mm512_set1_epi16(int16_t(0xff00)))), 256.0f,
                out + next, 2 * next);
    }
  }
};

}  // namespace
}  // namespace dsa::cpu::avx512
