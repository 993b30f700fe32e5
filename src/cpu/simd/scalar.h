// The scalar tier: one lane, plain C++, builds on any machine. Every tier has these members with
// these meanings; the algorithms are written once over them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/simd/convert.h"

namespace dsa::cpu::scalar {
namespace {

struct Scalar {
  static constexpr int kWidth = 1;      // f32 lanes in a vector
  static constexpr int kRegisters = 8;  // vectors a loop may keep live without spilling
  using F = float;                      // f32 lanes
  using I = int32_t;                    // i32 lanes
  using M = bool;                       // one truth value a lane

  // Loads and stores need no alignment. The `_n` forms touch the first n lanes only,
  // 0 ≤ n ≤ kWidth, and a load gives 0 in the others.
  static F load(const float *p) { return *p; }
  static F load_n(const float *p, int n) { return n > 0 ? *p : 0.0f; }
  static void store(float *p, F a) { *p = a; }
  static void store_n(float *p, F a, int n) {
    if (n > 0) *p = a;
  }
  static I loadi(const int32_t *p) { return *p; }
  static I loadi_n(const int32_t *p, int n) { return n > 0 ? *p : 0; }
  static void storei(int32_t *p, I a) { *p = a; }
  static void storei_n(int32_t *p, I a, int n) {
    if (n > 0) *p = a;
  }
  static F gather(const float *base, I index) { return base[index]; }

  static F load_bf16(const uint16_t *p) { return bf16_to_f32(*p); }
  static F load_bf16_n(const uint16_t *p, int n) { return n > 0 ? bf16_to_f32(*p) : 0.0f; }
  static F load_f16(const uint16_t *p) { return f16_to_f32(*p); }
  static F load_f16_n(const uint16_t *p, int n) { return n > 0 ? f16_to_f32(*p) : 0.0f; }
  static F load_e4m3(const uint8_t *p) { return e4m3_to_f32(*p); }
  static F load_e4m3_n(const uint8_t *p, int n) { return n > 0 ? e4m3_to_f32(*p) : 0.0f; }
  static void store_bf16(uint16_t *p, F a) { *p = f32_to_bf16(a); }
  static void store_bf16_n(uint16_t *p, F a, int n) {
    if (n > 0) *p = f32_to_bf16(a);
  }
  static void store_f16(uint16_t *p, F a) { *p = f32_to_f16(a); }
  static void store_f16_n(uint16_t *p, F a, int n) {
    if (n > 0) *p = f32_to_f16(a);
  }

  static F zero() { return 0.0f; }
  static F set1(float x) { return x; }
  static I set1i(int32_t x) { return x; }
  static I iota() { return 0; }  // 0, 1, 2, …

  static F add(F a, F b) { return a + b; }
  static F sub(F a, F b) { return a - b; }
  static F mul(F a, F b) { return a * b; }
  static F div(F a, F b) { return a / b; }
  static F fma(F a, F b, F c) { return a * b + c; }  // a b + c; one rounding where there is an FMA
  // b where either is NaN, as vmaxps and vminps have it.
  static F max(F a, F b) { return a > b ? a : b; }
  static F min(F a, F b) { return a < b ? a : b; }
  static F relu(F a) { return 0.0f > a ? 0.0f : a; }  // relu(NaN) is NaN
  static float reduce_add(F a) { return a; }
  static float reduce_max(F a) { return a; }
  static F reduce_add_each(const F *a) { return a[0]; }  // lane i: reduce_add(a[i]), kWidth vectors

  static I addi(I a, I b) { return int32_t(uint32_t(a) + uint32_t(b)); }
  static I subi(I a, I b) { return int32_t(uint32_t(a) - uint32_t(b)); }
  static I andi(I a, I b) { return a & b; }
  static I ori(I a, I b) { return a | b; }
  static I xori(I a, I b) { return a ^ b; }
  template <int n>
  static I shl(I a) {
    return int32_t(uint32_t(a) << n);
  }
  template <int n>
  static I sar(I a) {
    return a >> n;
  }
  template <int n>
  static I shr(I a) {
    return int32_t(uint32_t(a) >> n);
  }
  static I maxi(I a, I b) { return a > b ? a : b; }
  static I mini(I a, I b) { return a < b ? a : b; }
  static I bits_of(F a) { return int32_t(f32_bits(a)); }
  static F from_bits(I a) { return f32_from_bits(uint32_t(a)); }
  static I round_to_int(F a) { return int32_t(__builtin_rintf(a)); }  // nearest even
  static F to_f32(I a) { return float(a); }

  // Ordered comparisons: false where either is NaN.
  static M gt(F a, F b) { return a > b; }
  static M ge(F a, F b) { return a >= b; }
  static M lt(F a, F b) { return a < b; }
  static M le(F a, F b) { return a <= b; }
  static M eq(F a, F b) { return a == b; }
  static M is_nan(F a) { return a != a; }
  static M gti(I a, I b) { return a > b; }
  static M eqi(I a, I b) { return a == b; }

  static M first_n(int n) { return n > 0; }               // lanes 0 … n-1
  static uint32_t mask_bits(M m) { return m ? 1u : 0u; }  // bit j is lane j
  static int count(M m) { return m ? 1 : 0; }
  static bool any(M m) { return m; }
  static M and_mask(M a, M b) { return a && b; }
  static M or_mask(M a, M b) { return a || b; }
  static F select(M m, F yes, F no) { return m ? yes : no; }
  static I selecti(M m, I yes, I no) { return m ? yes : no; }

  static void prefetch(const void *p) { __builtin_prefetch(p, 0, 3); }
};

}  // namespace
}  // namespace dsa::cpu::scalar
