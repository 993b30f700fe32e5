/* Executes one or more instructions of every AVX-512 extension the kernels use and compares them
 * with scalar arithmetic. Exits with argv[1] when all agree, with 99 otherwise; dies of SIGILL on a
 * CPU that lacks them. check-emulator runs it to see that the emulator tells these apart. */
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define AVX512 __attribute__((noinline, target("avx512f,avx512bw,avx512dq,avx512vl")))
#define AVX512_VBMI2 __attribute__((noinline, target("avx512f,avx512bw,avx512vbmi2")))
#define AVX512_BF16 __attribute__((noinline, target("avx512f,avx512vl,avx512bf16")))

static int failures;

static void expect(const char *extension, int agrees) {
  printf("%s %s\n", extension, agrees ? "agrees" : "DIFFERS");
  failures += !agrees;
}

/* F: x * 2 + 1 in 16 lanes. */
AVX512 static void check_f(void) {
  float x[16], got[16];
  int agrees = 1;
  for (int i = 0; i < 16; ++i) x[i] = (float)i - 7.5f;
  const __m512 one = _mm512_set1_ps(1.0f), two = _mm512_set1_ps(2.0f);
  _mm512_storeu_ps(got, _mm512_fmadd_ps(_mm512_loadu_ps(x), two, one));
  for (int i = 0; i < 16; ++i) agrees &= got[i] == x[i] * 2.0f + 1.0f;
  expect("F", agrees);
}

/* BW: which of the bytes 0 to 63 exceed 31. */
AVX512 static void check_bw(const uint8_t *bytes) {
  const __m512i limit = _mm512_set1_epi8(31);
  expect("BW", _mm512_cmpgt_epu8_mask(_mm512_loadu_si512(bytes), limit) == 0xffffffff00000000u);
}

/* DQ: the low 64 bits of a product. */
AVX512 static void check_dq(int64_t factor) {
  int64_t got[8];
  const __m512i x = _mm512_set1_epi64(factor);
  _mm512_storeu_si512(got, _mm512_mullo_epi64(x, x));
  expect("DQ", got[0] == factor * factor && got[7] == factor * factor);
}

/* VL: the odd lanes of eight, moved together. */
AVX512 static void check_vl(void) {
  int32_t got[8];
  const __m256i x = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  _mm256_storeu_si256((__m256i *)got, _mm256_maskz_compress_epi32(0xaa, x));
  expect("VL", got[0] == 1 && got[1] == 3 && got[2] == 5 && got[3] == 7 && got[4] == 0);
}

/* VBMI2: the upper nibble of every eight bytes, moved together. */
AVX512_VBMI2 static void check_vbmi2(const uint8_t *bytes) {
  uint8_t got[64] = {0};
  int agrees = 1;
  _mm512_mask_compressstoreu_epi8(got, 0xf0f0f0f0f0f0f0f0u, _mm512_loadu_si512(bytes));
  for (int i = 0; i < 32; ++i) agrees &= got[i] == i / 4 * 8 + 4 + i % 4;
  expect("VBMI2", agrees && got[32] == 0);
}

/* BF16: pi rounded to the nearest. */
AVX512_BF16 static void check_bf16(float pi) {
  uint16_t got[16];
  _mm256_storeu_si256((__m256i *)got, (__m256i)_mm512_cvtneps_pbh(_mm512_set1_ps(pi)));
  expect("BF16", got[0] == 0x4049 && got[15] == 0x4049);
}

int main(int count, char **arguments) {
  uint8_t bytes[64];
  for (int i = 0; i < 64; ++i) bytes[i] = (uint8_t)i;
  setvbuf(stdout, NULL, _IOLBF, 0);
  check_f();
  check_bw(bytes);
  check_dq(1234567891);
  check_vl();
  check_vbmi2(bytes);
  check_bf16(3.14159265f);
  if (failures) return 99;
  return count > 1 ? atoi(arguments[1]) : 0;
}
