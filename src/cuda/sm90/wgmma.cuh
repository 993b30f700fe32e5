// wgmma: a warpgroup multiplies 64 rows of A by N rows of B, both in shared memory, into registers.
// Of every 8 columns, thread i of the warpgroup holds columns 2 (i % 4) and the next one: of row
// 16 (i / 32) + i % 32 / 4 in registers 4 j and 4 j + 1, of the row 8 further in 4 j + 2, 4 j + 3.
//
// Operands are panels of rows of 128 bytes, 1024-byte aligned, in which 16-byte chunk c of row r
// lies at chunk c ^ (r % 8) ("128-byte swizzle"): the 8 rows of one access spread over all banks.
#pragma once

#include <cstdint>

#include "cuda/sm90/copies.cuh"

namespace dsa::cuda::sm90 {

inline constexpr int32_t kPanelRowBytes = 128;
inline constexpr int32_t kMmaBytes = 32;  // of a row that one instruction multiplies

// Byte offset of a 16-byte chunk in a panel.
__device__ __forceinline__ uint32_t panel_offset(uint32_t row, uint32_t chunk) {
  return row * kPanelRowBytes + ((chunk ^ (row & 7)) << 4);
}

// Descriptor of an operand that starts `further` bytes after `address`: 128-byte swizzle, 1024
// bytes from 8 rows to the next 8. `further` is added where it carries nothing: 32-bit sums.
__device__ __forceinline__ uint64_t operand_at(uint32_t address, uint32_t further = 0) {
  constexpr uint64_t kHigh = uint64_t{1u << 30 | 1024 >> 4} << 32;
  return kHigh | ((((address & 0x3ffff) >> 4) | 1u << 16) + (further >> 4));
}

// The same of an operand whose panels have 64-byte rows, 512 bytes from 8 rows to the next 8: chunk
// c of row r lies at chunk c ^ (r / 2 % 4).
inline constexpr int32_t kNarrowRowBytes = 64;
__device__ __forceinline__ uint32_t narrow_offset(uint32_t row, uint32_t chunk) {
  return row * kNarrowRowBytes + ((chunk ^ (row >> 1 & 3)) << 4);
}
__device__ __forceinline__ uint64_t narrow_operand_at(uint32_t address) {
  return (uint64_t{2} << 62) | (uint64_t{512 >> 4} << 32) | (uint64_t{1} << 16) |
         ((address & 0x3ffff) >> 4);
}

// Descriptor of a B operand that lies transposed: a row of a panel has 64 of B's rows, of one
// column; the next 64 lie `panel_bytes` further.
__device__ __forceinline__ uint64_t transposed_operand_at(uint32_t address, uint32_t panel_bytes) {
  return (uint64_t{1} << 62) | (uint64_t{1024 >> 4} << 32) | (uint64_t{panel_bytes >> 4} << 16) |
         ((address & 0x3ffff) >> 4);
}

// Registers that wgmma writes, for the compiler: nothing moves across.
template <int kCount>
__device__ __forceinline__ void pin_registers(float (&x)[kCount]) {
#pragma unroll
  for (int32_t i = 0; i < kCount; ++i) asm volatile("" : "+f"(x[i])::"memory");
}
template <int kRows, int kCount>
__device__ __forceinline__ void pin_registers(float (&x)[kRows][kCount]) {
#pragma unroll
  for (int32_t i = 0; i < kRows; ++i) pin_registers(x[i]);
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// Registers are handed from ordinary instructions to wgmma.
__device__ __forceinline__ void wgmma_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int kPending>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// Operand lists of inline assembly, which no template can write.
#define DSA_REGISTERS_8(d, i)                                                                 \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), \
      "+f"(d[i + 6]), "+f"(d[i + 7])
#define DSA_REGISTERS_16(d, i) DSA_REGISTERS_8(d, i), DSA_REGISTERS_8(d, i + 8)
#define DSA_REGISTERS_32(d, i)                                                  \
  DSA_REGISTERS_8(d, i), DSA_REGISTERS_8(d, i + 8), DSA_REGISTERS_8(d, i + 16), \
      DSA_REGISTERS_8(d, i + 24)
#define DSA_REGISTERS_64(d, i) DSA_REGISTERS_32(d, i), DSA_REGISTERS_32(d, i + 32)
#define DSA_REGISTERS_128(d, i) DSA_REGISTERS_64(d, i), DSA_REGISTERS_64(d, i + 64)
#define DSA_NAMES_8 "%0, %1, %2, %3, %4, %5, %6, %7"
#define DSA_NAMES_16 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define DSA_NAMES_32                                                       \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define DSA_NAMES_64                                                                 \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "           \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define DSA_NAMES_128                                                                            \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                       \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "             \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "             \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "             \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "             \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "             \
  "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
  "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
// "+": d += A B; with `add` 0: d = A B. SHAPE as in "n256k32.f32.e4m3.e4m3", ENDING as PTX wants it
// for the type, A, B and ADD the numbers of the operands after the registers.
#define DSA_WGMMA(REGISTERS, SHAPE, ENDING, A, B, ADD)                             \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" ADD                            \
               ", 0;\n"                                                            \
               "wgmma.mma_async.sync.aligned.m64" SHAPE " {" DSA_NAMES_##REGISTERS \
               "}, %" A ", %" B ", p, " ENDING ";\n}\n"                            \
               : DSA_REGISTERS_##REGISTERS(d, 0)                                   \
               : "l"(a), "l"(b), "r"(add))

// d = A B for d of 8 or 16 registers, whatever they hold: they must not be written before, between
// two products of other registers.
#define DSA_WGMMA_FIRST_8(SHAPE, ENDING)                                                         \
  asm volatile(                                                                                  \
      "{\n.reg .pred p;\nsetp.ne.b32 p, 0, 0;\n"                                                 \
      "wgmma.mma_async.sync.aligned.m64" SHAPE " {" DSA_NAMES_8 "}, %8, %9, p, " ENDING ";\n}\n" \
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3]), "=f"(d[4]), "=f"(d[5]), "=f"(d[6]),      \
        "=f"(d[7])                                                                               \
      : "l"(a), "l"(b))
#define DSA_WGMMA_FIRST_16(SHAPE, ENDING)                                                       \
  asm volatile(                                                                                 \
      "{\n.reg .pred p;\nsetp.ne.b32 p, 0, 0;\n"                                                \
      "wgmma.mma_async.sync.aligned.m64" SHAPE " {" DSA_NAMES_16 "}, %16, %17, p, " ENDING      \
      ";\n}\n"                                                                                  \
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3]), "=f"(d[4]), "=f"(d[5]), "=f"(d[6]),     \
        "=f"(d[7]), "=f"(d[8]), "=f"(d[9]), "=f"(d[10]), "=f"(d[11]), "=f"(d[12]), "=f"(d[13]), \
        "=f"(d[14]), "=f"(d[15])                                                                \
      : "l"(a), "l"(b))

// d += A B with A in registers, 4 of each thread: pairs of columns 2 (i % 4) and the next one of
// the two rows, then those 8 further.
#define DSA_WGMMA_REGISTERS_A(REGISTERS, SHAPE, ENDING, A0, A1, A2, A3, B)                      \
  asm volatile("{\n.reg .pred p;\nsetp.eq.u32 p, 0, 0;\nwgmma.mma_async.sync.aligned.m64" SHAPE \
               " {" DSA_NAMES_##REGISTERS "}, {%" A0 ", %" A1 ", %" A2 ", %" A3 "}, %" B        \
                                          ", p, " ENDING ";\n}\n"                               \
               : DSA_REGISTERS_##REGISTERS(d, 0)                                                \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))

#else

__device__ __forceinline__ void wgmma_fence() {}
__device__ __forceinline__ void wgmma_commit() {}
template <int kPending>
__device__ __forceinline__ void wgmma_wait() {}
#define DSA_WGMMA(REGISTERS, SHAPE, ENDING, A, B, ADD) (void)d, (void)a, (void)b, (void)add
#define DSA_WGMMA_FIRST_8(SHAPE, ENDING) (void)d, (void)a, (void)b
#define DSA_WGMMA_FIRST_16(SHAPE, ENDING) (void)d, (void)a, (void)b
#define DSA_WGMMA_REGISTERS_A(REGISTERS, SHAPE, ENDING, A0, A1, A2, A3, B) (void)d, (void)a, (void)b

#endif

// Element types of the operands.
struct E4m3 {
  static constexpr int32_t kBytes = 1;
  static constexpr bool kFinite = true;  // or NaN, and so are its sums of products
  __device__ static void mma(float (&d)[32], uint64_t a, uint64_t b, int32_t add) {
    DSA_WGMMA(32, "n64k32.f32.e4m3.e4m3", "1, 1", "32", "33", "34");
  }
  __device__ static void mma(float (&d)[64], uint64_t a, uint64_t b, int32_t add) {
    DSA_WGMMA(64, "n128k32.f32.e4m3.e4m3", "1, 1", "64", "65", "66");
  }
  __device__ static void mma(float (&d)[128], uint64_t a, uint64_t b, int32_t add) {
    DSA_WGMMA(128, "n256k32.f32.e4m3.e4m3", "1, 1", "128", "129", "130");
  }
};

struct Bf16 {
  static constexpr int32_t kBytes = 2;
  static constexpr bool kFinite = false;
  __device__ static void mma_first(float (&d)[8], uint64_t a, uint64_t b) {
    DSA_WGMMA_FIRST_8("n16k16.f32.bf16.bf16", "1, 1, 0, 0");
  }
  __device__ static void mma_first(float (&d)[16], uint64_t a, uint64_t b) {
    DSA_WGMMA_FIRST_16("n32k16.f32.bf16.bf16", "1, 1, 0, 0");
  }
  __device__ static void mma(float (&d)[8], uint64_t a, uint64_t b, int32_t add) {
    DSA_WGMMA(8, "n16k16.f32.bf16.bf16", "1, 1, 0, 0", "8", "9", "10");
  }
  __device__ static void mma(float (&d)[16], uint64_t a, uint64_t b, int32_t add) {
    DSA_WGMMA(16, "n32k16.f32.bf16.bf16", "1, 1, 0, 0", "16", "17", "18");
  }
  __device__ static void mma(float (&d)[32], uint64_t a, uint64_t b, int32_t add) {
    DSA_WGMMA(32, "n64k16.f32.bf16.bf16", "1, 1, 0, 0", "32", "33", "34");
  }
  __device__ static void mma(float (&d)[64], uint64_t a, uint64_t b, int32_t add) {
    DSA_WGMMA(64, "n128k16.f32.bf16.bf16", "1, 1, 0, 0", "64", "65", "66");
  }
  __device__ static void mma(float (&d)[128], uint64_t a, uint64_t b, int32_t add) {
    DSA_WGMMA(128, "n256k16.f32.bf16.bf16", "1, 1, 0, 0", "128", "129", "130");
  }
  __device__ static void mma(float (&d)[8], const uint32_t (&a)[4], uint64_t b) {
    DSA_WGMMA_REGISTERS_A(8, "n16k16.f32.bf16.bf16", "1, 1, 0", "8", "9", "10", "11", "12");
  }
  __device__ static void mma(float (&d)[16], const uint32_t (&a)[4], uint64_t b) {
    DSA_WGMMA_REGISTERS_A(16, "n32k16.f32.bf16.bf16", "1, 1, 0", "16", "17", "18", "19", "20");
  }
  // A transposed.
  __device__ static void mma_transposed_a(float (&d)[8], uint64_t a, uint64_t b, int32_t add) {
    DSA_WGMMA(8, "n16k16.f32.bf16.bf16", "1, 1, 1, 0", "8", "9", "10");
  }
  __device__ static void mma_transposed_a(float (&d)[16], uint64_t a, uint64_t b, int32_t add) {
    DSA_WGMMA(16, "n32k16.f32.bf16.bf16", "1, 1, 1, 0", "16", "17", "18");
  }
  // B transposed.
  __device__ static void mma_transposed(float (&d)[64], uint64_t a, uint64_t b, int32_t add) {
    DSA_WGMMA(64, "n128k16.f32.bf16.bf16", "1, 1, 0, 1", "64", "65", "66");
  }
  __device__ static void mma_transposed(float (&d)[64], const uint32_t (&a)[4], uint64_t b) {
    DSA_WGMMA_REGISTERS_A(64, "n128k16.f32.bf16.bf16", "1, 1, 1", "64", "65", "66", "67", "68");
  }
};

struct F16 {
  __device__ static void mma(float (&d)[8], const uint32_t (&a)[4], uint64_t b) {
    DSA_WGMMA_REGISTERS_A(8, "n16k16.f32.f16.f16", "1, 1, 0", "8", "9", "10", "11", "12");
  }
  __device__ static void mma(float (&d)[16], const uint32_t (&a)[4], uint64_t b) {
    DSA_WGMMA_REGISTERS_A(16, "n32k16.f32.f16.f16", "1, 1, 0", "16", "17", "18", "19", "20");
  }
};

#undef DSA_WGMMA
#undef DSA_WGMMA_FIRST_8
#undef DSA_WGMMA_FIRST_16
#undef DSA_WGMMA_REGISTERS_A
#undef DSA_REGISTERS_8
#undef DSA_REGISTERS_16
#undef DSA_REGISTERS_32
#undef DSA_REGISTERS_64
#undef DSA_REGISTERS_128
#undef DSA_NAMES_8
#undef DSA_NAMES_16
#undef DSA_NAMES_32
#undef DSA_NAMES_64
#undef DSA_NAMES_128

}  // namespace dsa::cuda::sm90
