// One-element conversions between f32 and the storage formats, for the scalar tier and for tails.
// `static`, so that every translation unit keeps its own copy: a shared inline symbol could end up
// being the one compiled with a wider ISA than the machine has.
#pragma once

#include <cstdint>
#include <cstring>

namespace dsa::cpu {

static inline uint32_t f32_bits(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

static inline float f32_from_bits(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}

static inline float bf16_to_f32(uint16_t h) { return f32_from_bits(uint32_t{h} << 16); }

// Round to nearest even; a NaN stays a NaN (its payload could round to infinity otherwise).
static inline uint16_t f32_to_bf16(float x) {
  const uint32_t u = f32_bits(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return uint16_t((u >> 16) | 0x40u);
  return uint16_t((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

static inline float f16_to_f32(uint16_t h) {
  const uint32_t sign = uint32_t(h & 0x8000u) << 16;
  const uint32_t exponent = (h >> 10) & 0x1fu;
  const uint32_t mantissa = h & 0x3ffu;
  if (exponent == 0x1fu) {
    // As vcvtph2ps does: a NaN becomes quiet.
    return f32_from_bits(sign | 0x7f800000u | (mantissa << 13) | (mantissa ? 0x400000u : 0u));
  }
  if (exponent == 0) {
    const float magnitude = float(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  return f32_from_bits(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

// Round to nearest even; overflow gives infinity.
static inline uint16_t f32_to_f16(float x) {
  const uint32_t u = f32_bits(x);
  const uint16_t sign = uint16_t((u >> 16) & 0x8000u);
  const uint32_t magnitude = u & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return uint16_t(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  }
  if (magnitude >= 0x47800000u) return uint16_t(sign | 0x7c00u);  // ≥ 65536
  if (magnitude < 0x38800000u) {                                  // < 2^-14: subnormal f16
    // Adding 0.5 puts the unit 2^-24 at f32's last bit, so the addition itself rounds.
    return uint16_t(sign | (f32_bits(f32_from_bits(magnitude) + 0.5f) - 0x3f000000u));
  }
  return uint16_t(sign | ((magnitude + 0xfffu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13));
}

// e4m3fn: bias 7, no infinities, NaN is 0x7f and 0xff.
static inline float e4m3_to_f32(uint8_t b) {
  const uint32_t sign = uint32_t(b & 0x80u) << 24;
  const uint32_t exponent = (b >> 3) & 0xfu;
  const uint32_t mantissa = b & 7u;
  if ((b & 0x7fu) == 0x7fu) return f32_from_bits(sign | 0x7fc00000u);
  if (exponent == 0) {
    const float magnitude = float(mantissa) * 0x1p-9f;
    return sign ? -magnitude : magnitude;
  }
  return f32_from_bits(sign | ((exponent + 120u) << 23) | (mantissa << 20));
}

}  // namespace dsa::cpu
