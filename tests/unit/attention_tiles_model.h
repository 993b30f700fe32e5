// The AMX tile registers in plain C++, one set a thread: what Intel's manual says of the
// instructions, so that the packing around them is tested on machines without AMX. Denormals are
// flushed; a product pair is added in the order even, odd.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace dsa::cpu {
namespace {

struct ModelTiles {
  static inline thread_local unsigned char tile[8][16][64];
  static inline thread_local bool configured = false;

  static void begin() { configured = true; }
  static void end() {
    configured = false;
    memset(tile, 0xff, sizeof tile);
  }
  template <int t>
  static void zero() {
    memset(tile[t], 0, sizeof tile[t]);
  }
  template <int t>
  static void load(const void *p, int64_t stride) {
    for (int i = 0; i < 16; ++i) memcpy(tile[t][i], static_cast<const char *>(p) + i * stride, 64);
  }
  template <int t>
  static void store(void *p, int64_t stride) {
    for (int i = 0; i < 16; ++i) memcpy(static_cast<char *>(p) + i * stride, tile[t][i], 64);
  }
  static float bf16(const unsigned char *p) {
    uint16_t h;
    memcpy(&h, p, 2);
    if ((h & 0x7f80) == 0) h &= 0x8000;
    const uint32_t bits = uint32_t{h} << 16;
    float x;
    memcpy(&x, &bits, 4);
    return x;
  }
  template <int c, int a, int b>
  static void multiply() {
    if (!configured) abort();
    for (int m = 0; m < 16; ++m) {
      for (int n = 0; n < 16; ++n) {
        float sum;
        memcpy(&sum, &tile[c][m][n * 4], 4);
        for (int k = 0; k < 16; ++k) {
          for (int e = 0; e < 2; ++e) {
            sum = std::fma(bf16(&tile[a][m][k * 4 + e * 2]), bf16(&tile[b][k][n * 4 + e * 2]), sum);
          }
        }
        memcpy(&tile[c][m][n * 4], &sum, 4);
      }
    }
  }
};

}  // namespace
}  // namespace dsa::cpu
