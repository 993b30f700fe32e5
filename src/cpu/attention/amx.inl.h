// Sparse attention with AMX bf16 tiles: query, keys and values bf16, sums f32, P rounded to bf16.
//
// A chunk of up to 256 keys is one block. Logits come out as S [key, head] from tiles of 16 keys by
// 32 elements (rows as they lie in memory) times the packed query, so that keys need no
// transposition and the softmax is that of the f32 tiers, lane = head. Values are interleaved in
// pairs of keys while a row is in L1: one pass of shuffles, shared by all heads.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "cpu/attention/attention.inl.h"
#include "cpu/attention/softmax.inl.h"
#include "cpu/attention/tier.h"

namespace dsa::cpu {
namespace {

// Rows 0 … 15 of r become columns: 32-bit elements.
inline void attn_transpose_16x16(__m512i *r) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // r[4 g + c] holds column c of each 4 x 4 quarter, from rows 4 g … 4 g + 3.
  for (int c = 0; c < 4; ++c) {
    t[c] = _mm512_shuffle_i32x4(r[c], r[4 + c], 0x88);
    t[4 + c] = _mm512_shuffle_i32x4(r[c], r[4 + c], 0xdd);
    t[8 + c] = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0x88);
    t[12 + c] = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0xdd);
  }
  for (int c = 0; c < 4; ++c) {
    r[c] = _mm512_shuffle_i32x4(t[c], t[8 + c], 0x88);
    r[8 + c] = _mm512_shuffle_i32x4(t[c], t[8 + c], 0xdd);
    r[4 + c] = _mm512_shuffle_i32x4(t[4 + c], t[12 + c], 0x88);
    r[12 + c] = _mm512_shuffle_i32x4(t[4 + c], t[12 + c], 0xdd);
  }
}

template <class V, class Tiles>
struct AmxAttention {
  static constexpr int kTile = 1024;  // bytes
  static constexpr int kKeys = kAttnChunk;

  static int dims(const AttnShape &s) { return s.k.d + s.k2.d; }
  static int steps(int d) { return (d + 31) / 32; }
  static int head_tiles(const AttnShape &s) { return (s.heads + 15) / 16; }
  // Bytes from row to row: an odd number of cache lines, so that the 16 rows of a tile fall into
  // different sets of L1.
  static int64_t odd_lines(int64_t bytes) { return ((bytes + 63) / 64 | 1) * 64; }

  struct Scratch {
    char *k;       // [kKeys, ldk] bf16
    char *v;       // [kKeys / 2, ldv]: pairs of bf16
    float *s;      // [head tiles, kKeys, 16]
    char *p;       // [head tiles, kKeys / 32] tiles of 16 heads by 32 keys
    float *alpha;  // [head tiles * 16]
    int64_t ldk, ldv;
    size_t bytes;
  };

  static Scratch carve(const AttnShape &s, void *memory) {
    char *base = static_cast<char *>(memory);
    size_t used = 0;
    const auto take = [&](int64_t bytes) {
      char *p = base ? base + used : nullptr;
      used += size_t(bytes + 63) / 64 * 64;
      return p;
    };
    Scratch r;
    r.ldk = odd_lines(int64_t{steps(dims(s))} * 64);
    r.ldv = odd_lines(attn_padded(s.dv) * 4);
    r.k = take(kKeys * r.ldk);
    r.v = take(kKeys / 2 * r.ldv);
    r.s = reinterpret_cast<float *>(take(int64_t{head_tiles(s)} * kKeys * 64));
    r.p = take(int64_t{head_tiles(s)} * (kKeys / 32) * kTile);
    r.alpha = reinterpret_cast<float *>(take(int64_t{head_tiles(s)} * 64));
    r.bytes = used;
    return r;
  }

  static size_t scratch_bytes(const AttnShape &s) { return carve(s, nullptr).bytes; }

  static size_t query_bytes(const AttnShape &s) {
    return size_t(head_tiles(s)) * size_t(steps(dims(s))) * kTile;
  }

  static __m512i load_part(const uint16_t *p, int n) {
    if (n >= 32) return _mm512_loadu_si512(p);
    return _mm512_maskz_loadu_epi16(__mmask32((uint32_t{1} << (n > 0 ? n : 0)) - 1), p);
  }

  // 32 elements from e on of a head's two pieces, zeros past the end.
  static __m512i query_part(const AttnShape &s, const AttnQuery &q, int head, int e) {
    const uint16_t *a = static_cast<const uint16_t *>(q.q) + head * q.head_stride;
    if (q.stride == 1 && (e + 32 <= s.k.d || s.k2.d == 0)) return load_part(a + e, s.k.d - e);
    const uint16_t *b =
        s.k2.d > 0 ? static_cast<const uint16_t *>(q.q2) + head * q.head_stride2 : nullptr;
    alignas(64) uint16_t part[32] = {};
    for (int i = 0; i < 32 && e + i < dims(s); ++i) {
      const int at = e + i;
      part[i] = at < s.k.d ? a[at * q.stride] : b[(at - s.k.d) * q.stride2];
    }
    return _mm512_load_si512(part);
  }

  // [head tile][step] tiles: row i holds elements 2 i, 2 i + 1 of the step for 16 heads.
  static void pack_query(const AttnShape &s, const AttnQuery &q, void *packed) {
    char *to = static_cast<char *>(packed);
    for (int h = 0; h < s.heads; h += 16) {
      for (int e = 0; e < steps(dims(s)) * 32; e += 32, to += kTile) {
        __m512i r[16];
        for (int i = 0; i < 16; ++i) {
          r[i] = h + i < s.heads ? query_part(s, q, h + i, e) : _mm512_setzero_si512();
        }
        attn_transpose_16x16(r);
        for (int i = 0; i < 16; ++i) _mm512_store_si512(to + i * 64, r[i]);
      }
    }
  }

  static void copy_row(uint16_t *to, const void *from, int d) {
    const uint16_t *p = static_cast<const uint16_t *>(from);
    for (int i = 0; i < d; i += 32) _mm512_storeu_si512(to + i, load_part(p + i, d - i));
  }

  // Two rows of values to one row of pairs; `second` null: zeros.
  static void interleave(char *to, const void *first, const void *second, int dv) {
    alignas(64) static constexpr uint16_t kLow[32] = {0,  32, 1,  33, 2,  34, 3,  35, 4,  36, 5,
                                                      37, 6,  38, 7,  39, 8,  40, 9,  41, 10, 42,
                                                      11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
    const __m512i low = _mm512_load_si512(kLow);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    const uint16_t *a = static_cast<const uint16_t *>(first);
    const uint16_t *b = static_cast<const uint16_t *>(second);
    for (int i = 0; i < dv; i += 32) {
      const __m512i x = load_part(a + i, dv - i);
      const __m512i y = b ? load_part(b + i, dv - i) : _mm512_setzero_si512();
      _mm512_store_si512(to + i * 4, _mm512_permutex2var_epi16(x, low, y));
      if (dv - i > 16) _mm512_store_si512(to + i * 4 + 64, _mm512_permutex2var_epi16(x, high, y));
    }
  }

  // Rows are prefetched 8 ahead, as in the f32 tiers.
  static void load_rows(const AttnShape &s, const AttnKeys &keys, const Scratch &r) {
    constexpr int kAhead = 8;
    const void *const *values = s.v.d > 0 ? keys.v : keys.k;
    for (int j = 0; j < keys.n; ++j) {
      if (j + kAhead < keys.n) {
        attn_prefetch<V>(keys.k[j + kAhead], attn_row_bytes(s.k));
        if (s.k2.d > 0) attn_prefetch<V>(keys.k2[j + kAhead], attn_row_bytes(s.k2));
        if (s.v.d > 0) attn_prefetch<V>(keys.v[j + kAhead], attn_row_bytes(s.v));
      }
      uint16_t *row = reinterpret_cast<uint16_t *>(r.k + j * r.ldk);
      copy_row(row, keys.k[j], s.k.d);
      if (s.k2.d > 0) copy_second_piece(row, keys.k2[j], s.k.d, s.k2.d);
      if (s.dv > 0 && (j % 2 == 1 || j + 1 == keys.n)) {
        const bool pair = j % 2 == 1;
        interleave(r.v + j / 2 * r.ldv, values[pair ? j - 1 : j], pair ? values[j] : nullptr, s.dv);
      }
    }
    // Keys up to the next 32 have weight 0: their values must be numbers.
    for (int j = (keys.n + 1) / 2; j < (keys.n + 31) / 32 * 16; ++j) {
      for (int64_t i = 0; i < attn_padded(s.dv) * 4; i += 64) {
        _mm512_store_si512(r.v + j * r.ldv + i, _mm512_setzero_si512());
      }
    }
    for (int j = keys.n; j < (keys.n + 15) / 16 * 16; ++j) {
      for (int64_t i = 0; i < int64_t{steps(dims(s))} * 64; i += 64) {
        _mm512_store_si512(r.k + j * r.ldk + i, _mm512_setzero_si512());
      }
    }
  }

  // The second piece behind the first, and zeros to the end of the last step.
  static void copy_second_piece(uint16_t *row, const void *from, int at, int d) {
    const uint16_t *p = static_cast<const uint16_t *>(from);
    const int end = steps(at + d) * 32;
    int i = 0;
    for (; i + 32 <= d; i += 32) _mm512_storeu_si512(row + at + i, _mm512_loadu_si512(p + i));
    for (; i < d; ++i) row[at + i] = p[i];
    for (i = at + d; i < end; ++i) row[i] = 0;
  }

  // S of KT key tiles by HT head tiles (1 or 2 each).
  template <int KT, int HT>
  static void logits_tile(const char *k, int64_t ldk, const char *q, int64_t q_step, int n_steps,
                          float *s) {
    Tiles::template zero<0>();
    if constexpr (HT == 2) Tiles::template zero<1>();
    if constexpr (KT == 2) Tiles::template zero<2>();
    if constexpr (KT == 2 && HT == 2) Tiles::template zero<3>();
    for (int i = 0; i < n_steps; ++i) {
      Tiles::template load<4>(k + i * 64, ldk);
      Tiles::template load<6>(q + i * kTile, 64);
      Tiles::template multiply<0, 4, 6>();
      if constexpr (HT == 2) {
        Tiles::template load<7>(q + q_step + i * kTile, 64);
        Tiles::template multiply<1, 4, 7>();
      }
      if constexpr (KT == 2) {
        Tiles::template load<5>(k + 16 * ldk + i * 64, ldk);
        Tiles::template multiply<2, 5, 6>();
        if constexpr (HT == 2) Tiles::template multiply<3, 5, 7>();
      }
    }
    Tiles::template store<0>(s, 64);
    if constexpr (HT == 2) Tiles::template store<1>(s + kKeys * 16, 64);
    if constexpr (KT == 2) Tiles::template store<2>(s + 16 * 16, 64);
    if constexpr (KT == 2 && HT == 2) Tiles::template store<3>(s + kKeys * 16 + 16 * 16, 64);
  }

  static void logits(const AttnShape &s, const char *q, int n, const Scratch &r) {
    const int n_steps = steps(dims(s));
    const int64_t q_step = int64_t{n_steps} * kTile;
    const int key_tiles = (n + 15) / 16;
    const int all = head_tiles(s);
    // Two key tiles (38 KB at 576 elements) stay in L1 while all heads pass by.
    for (int j = 0; j < key_tiles; j += 2) {
      const char *k = r.k + j * 16 * r.ldk;
      for (int h = 0; h < all; h += 2) {
        const char *query = q + h * q_step;
        float *to = r.s + (int64_t{h} * kKeys + j * 16) * 16;
        const bool two_heads = h + 1 < all;
        if (j + 1 < key_tiles) {
          if (two_heads) {
            logits_tile<2, 2>(k, r.ldk, query, q_step, n_steps, to);
          } else {
            logits_tile<2, 1>(k, r.ldk, query, q_step, n_steps, to);
          }
        } else if (two_heads) {
          logits_tile<1, 2>(k, r.ldk, query, q_step, n_steps, to);
        } else {
          logits_tile<1, 1>(k, r.ldk, query, q_step, n_steps, to);
        }
      }
    }
  }

  // Weights s [n][16 heads] f32 to tiles of 16 heads by 32 keys, zeros from n on.
  static void pack_weights(const float *s, int n, char *p) {
    for (int j = 0; j < n; j += 32, p += kTile) {
      __m512i r[16];
      for (int i = 0; i < 16; ++i) {
        const int at = j + 2 * i;
        const __m512 even = at < n ? _mm512_load_ps(s + at * 16) : _mm512_setzero_ps();
        const __m512 odd = at + 1 < n ? _mm512_load_ps(s + (at + 1) * 16) : _mm512_setzero_ps();
        const __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(even));
        const __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(odd));
        r[i] = _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
      }
      attn_transpose_16x16(r);
      for (int i = 0; i < 16; ++i) _mm512_store_si512(p + i * 64, r[i]);
    }
  }

  // O [HT * 16 heads, VT * 16] += P V; `fresh`: O is not initialised yet.
  template <int HT, int VT>
  static void values_tile(const char *p, const char *v, int64_t ldv, int key_steps, bool fresh,
                          float *o, int64_t ldo) {
    const int64_t bytes = ldo * 4;
    float *o1 = o + 16 * ldo;
    if (fresh) {
      Tiles::template zero<0>();
      if constexpr (VT == 2) Tiles::template zero<1>();
      if constexpr (HT == 2) Tiles::template zero<2>();
      if constexpr (HT == 2 && VT == 2) Tiles::template zero<3>();
    } else {
      Tiles::template load<0>(o, bytes);
      if constexpr (VT == 2) Tiles::template load<1>(o + 16, bytes);
      if constexpr (HT == 2) Tiles::template load<2>(o1, bytes);
      if constexpr (HT == 2 && VT == 2) Tiles::template load<3>(o1 + 16, bytes);
    }
    for (int i = 0; i < key_steps; ++i) {
      const char *values = v + i * 16 * ldv;
      Tiles::template load<4>(p + i * kTile, 64);
      Tiles::template load<6>(values, ldv);
      Tiles::template multiply<0, 4, 6>();
      if constexpr (VT == 2) {
        Tiles::template load<7>(values + 64, ldv);
        Tiles::template multiply<1, 4, 7>();
      }
      if constexpr (HT == 2) {
        Tiles::template load<5>(p + (kKeys / 32 + i) * kTile, 64);
        Tiles::template multiply<2, 5, 6>();
        if constexpr (VT == 2) Tiles::template multiply<3, 5, 7>();
      }
    }
    Tiles::template store<0>(o, bytes);
    if constexpr (VT == 2) Tiles::template store<1>(o + 16, bytes);
    if constexpr (HT == 2) Tiles::template store<2>(o1, bytes);
    if constexpr (HT == 2 && VT == 2) Tiles::template store<3>(o1 + 16, bytes);
  }

  static void values(const AttnShape &s, int n, const Scratch &r, bool fresh, float *o) {
    const int64_t ldo = attn_padded(s.dv);
    const int value_tiles = int(ldo / 16);
    const int key_steps = (n + 31) / 32;
    const int all = head_tiles(s);
    // Two columns of value tiles (32 KB) stay in L1 while all heads pass by.
    for (int x = 0; x < value_tiles; x += 2) {
      const char *v = r.v + x * 64;
      for (int h = 0; h < all; h += 2) {
        const char *p = r.p + int64_t{h} * (kKeys / 32) * kTile;
        float *to = o + int64_t{h} * 16 * ldo + x * 16;
        const bool two_heads = h + 1 < all;
        if (x + 1 < value_tiles) {
          if (two_heads) {
            values_tile<2, 2>(p, v, r.ldv, key_steps, fresh, to, ldo);
          } else {
            values_tile<1, 2>(p, v, r.ldv, key_steps, fresh, to, ldo);
          }
        } else if (two_heads) {
          values_tile<2, 1>(p, v, r.ldv, key_steps, fresh, to, ldo);
        } else {
          values_tile<1, 1>(p, v, r.ldv, key_steps, fresh, to, ldo);
        }
      }
    }
  }

  static void accumulate(const AttnShape &s, const void *packed, const AttnKeys &keys,
                         AttnState &state, void *memory) {
    if (keys.n == 0) return;
    const Scratch r = carve(s, memory);
    const bool fresh = state.keys == 0;
    if (fresh) {
      for (int64_t h = 0; h < attn_padded(s.heads); ++h) {
        state.max[h] = -__builtin_inff();
        state.sum[h] = 0.0f;
      }
    }
    load_rows(s, keys, r);
    Tiles::begin();
    logits(s, static_cast<const char *>(packed), keys.n, r);
    for (int h = 0; h < head_tiles(s); ++h) {
      float *weights = r.s + int64_t{h} * kKeys * 16;
      attn_softmax_lanes<V>(weights, keys.n, s.scale, state.max + h * 16, state.sum + h * 16,
                            r.alpha + h * 16);
      pack_weights(weights, keys.n, r.p + int64_t{h} * (kKeys / 32) * kTile);
    }
    if (s.dv > 0) {
      const int64_t ldo = attn_padded(s.dv);
      for (int h = 0; h < s.heads && !fresh; ++h) {
        if (r.alpha[h] == 1.0f) continue;
        const __m512 alpha = _mm512_set1_ps(r.alpha[h]);
        float *row = state.out + h * ldo;
        for (int64_t i = 0; i < ldo; i += 16) {
          _mm512_store_ps(row + i, _mm512_mul_ps(alpha, _mm512_load_ps(row + i)));
        }
      }
      values(s, keys.n, r, fresh, state.out);
    }
    Tiles::end();
    state.keys += keys.n;
  }

  static constexpr AttnTier table() {
    return {0,          query_bytes,         scratch_bytes, pack_query,
            accumulate, Attention<V>::merge, attn_write<V>};
  }
};

}  // namespace
}  // namespace dsa::cpu
