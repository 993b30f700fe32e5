#include <immintrin.h>

#include "roofs/loops.h"

namespace bench::roofs {
namespace {

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t bytes_a_row[16] = {};
  uint8_t rows[16] = {};
};

}  // namespace

extern const double kAmxBf16Flop = 8 * 4 * 16 * 16 * 32 * 2;

// Four tiles of sums, two of A, two of B, as a matrix product has them in registers: tdpbf16ps
// starts every 16 cycles and takes 52.
float multiply_add_amx_bf16(int64_t rounds) {
  TileConfig config;
  for (int i = 0; i < 8; ++i) {
    config.bytes_a_row[i] = 64;
    config.rows[i] = 16;
  }
  alignas(64) uint16_t ones[16 * 32], signs[16 * 32];
  for (int i = 0; i < 16 * 32; ++i) {
    ones[i] = 0x3f80;                    // 1
    signs[i] = i & 1 ? 0xbf80 : 0x3f80;  // 1, -1: sums stay small
  }
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, ones, 64);
  _tile_loadd(5, ones, 64);
  _tile_loadd(6, signs, 64);
  _tile_loadd(7, signs, 64);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 8
    for (int step = 0; step < 8; ++step) {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  alignas(64) float sums[4][16 * 16];
  _tile_stored(0, sums[0], 64);
  _tile_stored(1, sums[1], 64);
  _tile_stored(2, sums[2], 64);
  _tile_stored(3, sums[3], 64);
  _tile_release();
  float total = 0;
  for (int i = 0; i < 4; ++i) total += sums[i][17 * i];
  return total;
}

}  // namespace bench::roofs
