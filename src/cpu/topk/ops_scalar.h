// What top-k needs beyond the tier struct: comparisons as bits and compression.
#pragma once

#include "cpu/simd/scalar.h"

namespace dsa::cpu::scalar {
namespace {

struct TopkOps : Scalar {
  // The lanes whose bit is set, moved together at the front; the rest is arbitrary.
  struct Compressor {
    explicit Compressor(uint32_t) {}
    F operator()(F a) const { return a; }
    I operator()(I a) const { return a; }
  };
  static void store_half(float *p, F a) { *p = a; }
  static void store_halfi(int32_t *p, I a) { *p = a; }
  static uint32_t gt_bits(F a, F b) { return a > b; }
  static uint32_t ge_bits(F a, F b) { return a >= b; }
  static uint32_t eq_bits(F a, F b) { return a == b; }
  // Lanes where a > b, else the other one.
  static F keep_gt(F a, F b, F other) { return a > b ? a : other; }
  static F keep_le(F a, F b, F other) { return a <= b ? a : other; }
  static I count_gt(F a, F b, I n) { return n + (a > b ? 1 : 0); }
  static F keep_below(I n, I limit, F a, F other) { return n < limit ? a : other; }
  static float reduce_min(F a) { return a; }
};

}  // namespace
}  // namespace dsa::cpu::scalar
