// What pack_keys_x86.inl.h needs of AVX2: 8 keys a vector.
#pragma once

#include <immintrin.h>

#include "cpu/indexer/tier.h"

namespace dsa::cpu::avx2 {
namespace {

struct KeyLanes {
  using I = __m256i;
  static constexpr int kKeys = 8;

  static __m128i load16(const uint8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  static I gather16(const uint8_t* const* rows, size_t offset) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load16(rows[0] + offset)),
                                   load16(rows[4] + offset), 1);
  }
  static I low32(I a, I b) { return _mm256_unpacklo_epi32(a, b); }
  static I high32(I a, I b) { return _mm256_unpackhi_epi32(a, b); }
  static I low64(I a, I b) { return _mm256_unpacklo_epi64(a, b); }
  static I high64(I a, I b) { return _mm256_unpackhi_epi64(a, b); }
  static void copy(const float* from, float* to) { _mm256_storeu_ps(to, _mm256_loadu_ps(from)); }

  // Two f16 a unit: the low halves of all keys to `out`, the high halves to the row after it.
  static void widen_f16(I unit, float scale, float* out, ptrdiff_t next) {
    const I low = _mm256_and_si256(unit, _mm256_set1_epi32(0xffff));
    const I both = _mm256_packus_epi32(low, _mm256_srli_epi32(unit, 16));
    const I split = _mm256_permute4x64_epi64(both, 0b11011000);
    const __m256 factor = _mm256_set1_ps(scale);
    _mm256_storeu_ps(out, _mm256_mul_ps(factor, _mm256_cvtph_ps(_mm256_castsi256_si128(split))));
    _mm256_storeu_ps(out + next,
                     _mm256_mul_ps(factor, _mm256_cvtph_ps(_mm256_extracti128_si256(split, 1))));
  }
  // e4m3 in the high byte of each 16-bit half to f16, 2^-8 too small (simd/avx2.h, from_e4m3).
  static I e4m3_to_f16(I half) {
    const I magnitude = _mm256_and_si256(half, _mm256_set1_epi16(0x7f00));
    const I nan = _mm256_cmpeq_epi16(magnitude, _mm256_set1_epi16(0x7f00));
    const I sign = _mm256_and_si256(half, _mm256_set1_epi16(int16_t(0x8000)));
    const I f16 = _mm256_or_si256(sign, _mm256_srli_epi16(magnitude, 1));
    return _mm256_blendv_epi8(f16, _mm256_set1_epi16(0x7e00), nan);
  }

  // One unit of all keys to its elements, element i at out + i * next.
  template <IndexerType type>
  static void widen(I unit, float* out, ptrdiff_t next) {
    if constexpr (type == IndexerType::kF32) {
      _mm256_storeu_ps(out, _mm256_castsi256_ps(unit));
    } else if constexpr (type == IndexerType::kBf16) {
      _mm256_storeu_ps(out, _mm256_castsi256_ps(_mm256_slli_epi32(unit, 16)));
      const I high = _mm256_and_si256(unit, _mm256_set1_epi32(int32_t(0xffff0000)));
      _mm256_storeu_ps(out + next, _mm256_castsi256_ps(high));
    } else if constexpr (type == IndexerType::kF16) {
      widen_f16(unit, 1.0f, out, next);
    } else {
      widen_f16(e4m3_to_f16(_mm256_slli_epi16(unit, 8)), 256.0f, out, 2 * next);
      widen_f16(e4m3_to_f16(_mm256_and_si256(unit, _mm256_set1_epi16(int16_t(0xff00)))), 256.0f,
                out + next, 2 * next);
    }
  }
};

}  // namespace
}  // namespace dsa::cpu::avx2
