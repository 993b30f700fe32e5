// Four-wide vectors by the compiler's own vector type: any CPU.
#include "roofs/loops.h"

namespace bench::roofs {
namespace {

using Vec = float __attribute__((vector_size(16)));
using Words = uint64_t __attribute__((vector_size(16)));

// SSE2 has no fused multiply-add: a multiplication and an addition a step. Of 16 registers 12 are
// sums, more than latency (4 + 4) times two of each a cycle needs to be kept busy in part.
float multiply_add(int64_t rounds) {
  constexpr int kSums = 12;
  Vec sum[kSums];
  for (int i = 0; i < kSums; ++i) sum[i] = Vec{1.0f, 0.5f, 0.25f, 0.125f} * float(i + 1);
  Vec a = {0.5f, 0.5f, 0.5f, 0.5f}, b = {1.0f, 1.0f, 1.0f, 1.0f};
  for (int64_t r = 0; r < rounds; ++r) {
    // Keeps the compiler from knowing a and b, and from merging rounds.
    asm volatile("" : "+m"(a), "+m"(b));
    const Vec aa = a, bb = b;
    for (int step = 0; step < 8; ++step) {
#pragma GCC unroll 12
      for (int i = 0; i < kSums; ++i) sum[i] = sum[i] * aa + bb;
    }
  }
  Vec total = sum[0];
  for (int i = 1; i < kSums; ++i) total += sum[i];
  return total[0] + total[1] + total[2] + total[3];
}

float maximum(const float* x, int64_t n) {
  constexpr int kParts = 8;
  Vec best[kParts];
  for (int i = 0; i < kParts; ++i) __builtin_memcpy(&best[i], x + 4 * i, 16);
  for (int64_t j = 4 * kParts; j < n; j += 4 * kParts) {
#pragma GCC unroll 8
    for (int i = 0; i < kParts; ++i) {
      Vec v;
      __builtin_memcpy(&v, x + j + 4 * i, 16);
      best[i] = best[i] > v ? best[i] : v;
    }
  }
  float most = best[0][0];
  for (int i = 0; i < kParts; ++i) {
    for (int lane = 0; lane < 4; ++lane) most = best[i][lane] > most ? best[i][lane] : most;
  }
  return most;
}

uint64_t read(const uint64_t* x, int64_t n_words) {
  constexpr int kParts = 8;
  Words sum[kParts] = {};
  for (int64_t j = 0; j < n_words; j += 2 * kParts) {
#pragma GCC unroll 8
    for (int i = 0; i < kParts; ++i) {
      Words v;
      __builtin_memcpy(&v, x + j + 2 * i, 16);
      sum[i] += v;
    }
  }
  for (int i = 1; i < kParts; ++i) sum[0] += sum[i];
  return sum[0][0] + sum[0][1];
}

}  // namespace

extern const Loops kBaseline = {multiply_add, 12 * 8 * 4 * 2, maximum, read};

}  // namespace bench::roofs
