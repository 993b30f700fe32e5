/* What the engine programs share: numbers, storage formats, and attention written as its formula.
 * Everything in double, on logical tokens; each program lays the same tokens out as its engine
 * does. */
#ifndef CLIENT_H
#define CLIENT_H

#include <dsa.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define CALL(call)                                                 \
  do {                                                             \
    if ((call) != DSA_OK) {                                        \
      printf("%s:%d: %s\n", __FILE__, __LINE__, dsa_last_error()); \
      exit(1);                                                     \
    }                                                              \
  } while (0)

#define CHECK(condition)                                               \
  do {                                                                 \
    if (!(condition)) {                                                \
      printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                         \
    }                                                                  \
  } while (0)

static inline void *zeroed(size_t count, size_t size) {
  void *memory = calloc(count, size);
  if (!memory) exit(2);
  return memory;
}

/* In (-1, 1), the same everywhere. */
static uint64_t client_state = 1;
static inline double noise(void) {
  client_state = client_state * 6364136223846793005u + 1442695040888963407u;
  return (double)(int64_t)client_state / 9223372036854775808.0;
}

static inline float bf16_value(uint16_t bits) {
  const uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, 4);
  return value;
}
static inline uint16_t to_bf16(double number) {
  const float value = (float)number;
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/* Normal numbers only. */
static inline float f16_value(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const double size = ldexp(1024 + (bits & 1023), exponent - 25);
  if (exponent == 0) return (float)((bits & 0x8000 ? -1 : 1) * ldexp(bits & 1023, -24));
  return (float)(bits & 0x8000 ? -size : size);
}
static inline uint16_t to_f16(double value) {
  const uint16_t sign = value < 0 ? 0x8000 : 0;
  int exponent;
  const double fraction = frexp(fabs(value), &exponent); /* [0.5, 1) */
  int units;
  if (value == 0 || exponent < -13) return sign; /* flushed: the programs need no denormals */
  units = (int)floor(fraction * 2048 + 0.5);
  if (units == 2048) units = 1024, ++exponent;
  return (uint16_t)(sign | ((exponent + 14) << 10) | (units - 1024));
}

/* e4m3fn between 2^-6 and 448. */
static inline double e4m3_value(uint8_t bits) {
  const int exponent = (bits >> 3) & 15;
  const double size = exponent ? ldexp(8 + (bits & 7), exponent - 10) : ldexp(bits & 7, -9);
  return bits & 0x80 ? -size : size;
}
static inline uint8_t to_e4m3(double value) {
  const uint8_t sign = value < 0 ? 0x80 : 0;
  int exponent, units;
  const double fraction = frexp(fabs(value), &exponent);
  if (fraction == 0 || exponent < -5) return sign; /* flushed: the programs need no denormals */
  units = (int)floor(fraction * 16 + 0.5);
  if (units == 16) units = 8, ++exponent;
  return (uint8_t)(sign | ((exponent + 6) << 3) | (units - 8));
}

/* I[s] = scale * sum_h w[h] relu(q[h,:] . key): q [heads, dim]. */
static inline double index_score(const double *q, const double *w, int heads, int dim,
                                 const double *key, double scale) {
  double sum = 0;
  int h, i;
  for (h = 0; h < heads; ++h) {
    double dot = 0;
    for (i = 0; i < dim; ++i) dot += q[h * dim + i] * key[i];
    if (dot > 0) sum += w[h] * dot;
  }
  return scale * sum;
}

/* The k largest of score [n] where visible, ascending; the smaller index of equal ones. */
static inline int select_keys(const double *score, const char *visible, int n, int k, int *keys) {
  int count = 0, s, other;
  for (s = 0; s < n; ++s) {
    int rank = 0;
    if (!visible[s] || isnan(score[s]) || score[s] == -INFINITY) continue;
    for (other = 0; other < n; ++other) {
      if (!visible[other] || isnan(score[other])) continue;
      rank += score[other] > score[s] || (score[other] == score[s] && other < s);
    }
    if (rank < k) keys[count++] = s;
  }
  return count;
}

/* One head over keys [.., dim] and values [.., value_dim] of the given tokens. Gives the lse. */
static inline double attend(const double *q, int dim, const double *keys, int key_stride,
                            const double *values, int value_stride, int value_dim,
                            const int *tokens, int n, double scale, double sink, double *out) {
  double most = -INFINITY, sum = 0;
  int j, i;
  double *z = (double *)zeroed((size_t)n + 1, sizeof *z);
  for (j = 0; j < n; ++j) {
    for (i = 0; i < dim; ++i)
      z[j] += scale * q[i] * keys[(size_t)tokens[j] * (size_t)key_stride + (size_t)i];
    if (z[j] > most) most = z[j];
  }
  for (i = 0; i < value_dim; ++i) out[i] = 0;
  for (j = 0; j < n; ++j) sum += exp(z[j] - most);
  for (j = 0; j < n; ++j) {
    const double p = exp(z[j] - most) / (sum + exp(sink - most));
    for (i = 0; i < value_dim; ++i)
      out[i] += p * values[(size_t)tokens[j] * (size_t)value_stride + (size_t)i];
  }
  free(z);
  return n > 0 ? most + log(sum) : -INFINITY;
}

static inline int near(double got, double want, double tolerance) {
  if (isinf(want)) return got == want;
  return fabs(got - want) <= tolerance * (1 + fabs(want));
}

#endif
