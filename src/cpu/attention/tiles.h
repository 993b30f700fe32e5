// The AMX tile registers as static functions, so that the attention kernel can also be compiled
// over a model of them: no emulator at hand executes AMX, and its packing should be tested
// everywhere.
#pragma once

#include <cstdint>

namespace dsa::cpu {
namespace {

// 64 bytes for ldtilecfg: palette 1, eight tiles of 16 rows of 64 bytes.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

// Written as assembly because the intrinsics are macros that paste the tile's number as text.
struct AmxTiles {
  static void begin() {
    const TileConfig config;
    asm volatile("ldtilecfg %0" ::"m"(config));
  }
  static void end() { asm volatile("tilerelease"); }

  template <int tile>
  static void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(tile));
  }
  // 16 rows of 64 bytes, `stride` bytes apart.
  template <int tile>
  static void load(const void *p, int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(stride), "i"(tile) : "memory");
  }
  template <int tile>
  static void store(void *p, int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(p), "r"(stride), "i"(tile) : "memory");
  }
  // c [16, 16] f32 += a [16, 32] bf16 times b, where b's row i holds elements 2 i and 2 i + 1 of
  // the summed axis for 16 columns, in pairs.
  template <int c, int a, int b>
  static void multiply() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(c), "i"(a), "i"(b));
  }
};

}  // namespace
}  // namespace dsa::cpu
