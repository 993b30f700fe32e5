// The loops behind the roofs, one set for each instruction set. Only plain C++ in the files that
// define them: no standard-library template may be compiled with AVX flags.
#pragma once

#include <cstdint>

namespace bench::roofs {

// Every multiply-add loop does `rounds` rounds of independent operations in registers and returns
// something that depends on all of them. `*_flop` is the floating-point operations of one round.
struct Loops {
  float (*multiply_add)(int64_t rounds);  // f32
  double multiply_add_flop;
  float (*maximum)(const float* x, int64_t n);           // n a multiple of 256
  uint64_t (*read)(const uint64_t* x, int64_t n_words);  // n_words a multiple of 64
};

extern const Loops kBaseline;  // what the compiler's default flags give: SSE2 on x86-64
#if defined(BENCH_X86)
extern const Loops kAvx2;
extern const Loops kAvx512;

float multiply_add_avx512_bf16(int64_t rounds);  // vdpbf16ps
extern const double kAvx512Bf16Flop;
float multiply_add_amx_bf16(int64_t rounds);  // tdpbf16ps; the process must have the permission
extern const double kAmxBf16Flop;
#endif

}  // namespace bench::roofs
