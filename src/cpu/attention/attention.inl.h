// Sparse attention over f32 tiles, once for all tiers; see tier.h for what the functions mean.
// The online softmax over blocks is Milakov and Gimelshein's (2018), as in FlashAttention.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/attention/products.inl.h"
#include "cpu/attention/rows.inl.h"
#include "cpu/attention/softmax.inl.h"
#include "cpu/attention/tier.h"

namespace dsa::cpu {
namespace {

// Row length of a tile in floats: 16 spare (a group of scales writes whole vectors), and an odd
// multiple of 4 cache lines, so that a column of 64 rows spreads over all 64 sets of L1 (512
// floats apart they would fall into 2).
inline int64_t attn_tile_ld(int64_t d) {
  const int64_t lines = (d + 15) / 16 + 1;
  return (lines + 3) / 8 * 8 * 16 + 4 * 16;
}

template <class V>
struct Attention {
  static constexpr int W = V::kWidth;

  static int dims(const AttnShape &s) { return s.k.d + s.k2.d; }
  static int head_vectors(const AttnShape &s) { return (s.heads + W - 1) / W; }
  static int64_t query_ld(const AttnShape &s) { return (dims(s) + W - 1) / W * W; }

  struct Scratch {
    float *k;      // [kAttnBlock, attn_tile_ld(d + d2)]
    float *v;      // [kAttnBlock, attn_tile_ld(dv)], only where V lies apart
    float *s;      // [head vectors, kAttnBlock, W] or [heads, kAttnBlock]
    float *alpha;  // [heads]
    size_t bytes;
  };

  static Scratch carve(const AttnShape &s, void *memory) {
    char *base = static_cast<char *>(memory);
    size_t used = 0;
    const auto take = [&](int64_t floats) {
      float *p = base ? reinterpret_cast<float *>(base + used) : nullptr;
      used += size_t(attn_padded(floats)) * sizeof(float);
      return p;
    };
    Scratch r;
    r.k = take(kAttnBlock * attn_tile_ld(dims(s)));
    r.v = take(s.v.d > 0 ? kAttnBlock * attn_tile_ld(s.dv) : 0);
    r.s = take(attn_padded(s.heads) * kAttnBlock);
    r.alpha = take(s.heads);
    r.bytes = used;
    return r;
  }

  static size_t scratch_bytes(const AttnShape &s) { return carve(s, nullptr).bytes; }

  // The same for both forms: sizes must not shrink when heads are added.
  static size_t query_bytes(const AttnShape &s) {
    const int64_t floats = attn_padded(s.heads) * attn_padded(dims(s));
    return size_t(floats) * sizeof(float);
  }

  // Element (h, d) of the packed query; see products.inl.h.
  static int64_t packed_at(const AttnShape &s, int h, int d) {
    if (s.few_heads) return h * query_ld(s) + d;
    constexpr int VN = AttnTile<V::kRegisters>::kQueryVectors;
    const int vector = h / W;
    const int first = vector / VN * VN;
    const int all = head_vectors(s);
    if (first + VN <= all) {
      return int64_t{first} * W * dims(s) + (int64_t{d} * VN + vector - first) * W + h % W;
    }
    return int64_t{vector} * W * dims(s) + int64_t{d} * W + h % W;
  }

  static void pack_query(const AttnShape &s, const AttnQuery &q, void *packed) {
    float *to = static_cast<float *>(packed);
    const int64_t floats = int64_t(query_bytes(s) / sizeof(float));
    for (int64_t i = 0; i < floats; i += W) V::store(to + i, V::zero());
    alignas(64) float row[kAttnMaxDim + 16];
    const auto piece = [&](const void *base, AttnType type, int64_t head_stride, int64_t stride,
                           int d, int at, bool scaled) {
      const int64_t bytes = attn_type_bytes(type);
      AttnRows rows;
      rows.type = type;
      rows.d = d;
      rows.stride = stride;
      for (int h = 0; h < s.heads; ++h) {
        const float *scale = scaled && q.scale ? q.scale + h * q.scale_stride : nullptr;
        rows.group = scale ? d : 0;
        attn_load_row<V>(rows, row, static_cast<const char *>(base) + h * head_stride * bytes,
                         scale);
        const int64_t step = d > 1 ? packed_at(s, h, at + 1) - packed_at(s, h, at) : 0;
        float *p = to + packed_at(s, h, at);
        if (step == 1) {
          for (int i = 0; i < d; ++i) p[i] = row[i];
        } else {
          for (int i = 0; i < d; ++i) p[i * step] = row[i];
        }
      }
    };
    piece(q.q, q.type, q.head_stride, q.stride, s.k.d, 0, true);
    if (s.k2.d > 0) piece(q.q2, q.type2, q.head_stride2, q.stride2, s.k2.d, s.k.d, q.scale_second);
  }

  // f32 rows of one block of keys. Where they lie evenly spaced, `p` is the first and `ld` the step
  // in floats; else `p` is null.
  struct Tile {
    const float *row[kAttnBlock];
    const float *p;
    int64_t ld;
  };

  // Whether rows can be used where they are: adjacent f32 in whole vectors. Rows of a multiple of
  // 1 KB are copied all the same: a column of them falls into a few sets of L1.
  static bool usable(const AttnRows &rows) {
    return rows.type == AttnType::kF32 && rows.stride == 1 && rows.group == 0 && rows.d % W == 0 &&
           rows.d % 256 != 0;
  }

  static void use_rows(const void *const *rows, int n, int64_t bytes, Tile *tile) {
    const char *first = static_cast<const char *>(rows[0]);
    const int64_t step = n > 1 ? static_cast<const char *>(rows[1]) - first : 0;
    bool even = step % int64_t(sizeof(float)) == 0;
    for (int j = 0; j < n; ++j) {
      tile->row[j] = static_cast<const float *>(rows[j]);
      even = even && static_cast<const char *>(rows[j]) - first == j * step;
    }
    tile->p = even ? tile->row[0] : nullptr;
    tile->ld = step / int64_t(sizeof(float));
    if (even) return;  // the hardware sees what comes
    for (int j = 0; j < n; ++j) attn_prefetch<V>(rows[j], bytes);
  }

  // Rows are prefetched 8 ahead, into L1: 8 rows of 1152 bytes are 144 lines.
  static constexpr int kAhead = 8;

  static void load_keys(const AttnShape &s, const AttnKeys &keys, int from, int n, float *memory,
                        Tile *tile) {
    const int64_t bytes = attn_row_bytes(s.k);
    const int64_t bytes2 = attn_row_bytes(s.k2);
    if (s.k2.d == 0 && usable(s.k)) {
      use_rows(keys.k + from, n, bytes, tile);
      if (tile->p || s.few_heads) return;
    }
    const int64_t ld = attn_tile_ld(dims(s));
    for (int j = 0; j < n; ++j) {
      const int at = from + j;
      if (at + kAhead < keys.n) {
        attn_prefetch<V>(keys.k[at + kAhead], bytes);
        if (s.k2.d > 0) attn_prefetch<V>(keys.k2[at + kAhead], bytes2);
      }
      float *row = memory + j * ld;
      attn_load_row<V>(s.k, row, keys.k[at], keys.k_scale ? keys.k_scale[at] : nullptr);
      if (s.k2.d > 0) {
        attn_load_row<V>(s.k2, row + s.k.d, keys.k2[at],
                         keys.k2_scale ? keys.k2_scale[at] : nullptr);
        for (int64_t i = dims(s); i % W != 0; ++i) row[i] = 0.0f;
      }
      tile->row[j] = row;
    }
    tile->p = memory;
    tile->ld = ld;
  }

  static void load_values(const AttnShape &s, const AttnKeys &keys, int from, int n, float *memory,
                          Tile *tile) {
    const int64_t bytes = attn_row_bytes(s.v);
    if (usable(s.v)) return use_rows(keys.v + from, n, bytes, tile);
    const int64_t ld = attn_tile_ld(s.dv);
    for (int j = 0; j < n; ++j) {
      const int at = from + j;
      if (at + kAhead < keys.n) attn_prefetch<V>(keys.v[at + kAhead], bytes);
      float *row = memory + j * ld;
      attn_load_row<V>(s.v, row, keys.v[at], keys.v_scale ? keys.v_scale[at] : nullptr);
      tile->row[j] = row;
    }
  }

  static void accumulate(const AttnShape &s, const void *packed, const AttnKeys &keys,
                         AttnState &state, void *memory) {
    const Scratch scratch = carve(s, memory);
    const float *q = static_cast<const float *>(packed);
    const int d = dims(s);
    const int vectors = head_vectors(s);
    for (int from = 0; from < keys.n; from += kAttnBlock) {
      const int n = keys.n - from < kAttnBlock ? keys.n - from : kAttnBlock;
      const bool first = state.keys == 0;
      if (first) {
        for (int64_t h = 0; h < attn_padded(s.heads); ++h) {
          state.max[h] = -__builtin_inff();
          state.sum[h] = 0.0f;
        }
      }
      Tile k, v;
      load_keys(s, keys, from, n, scratch.k, &k);
      AttnWeights weights{scratch.s, 1, W};
      if (s.few_heads) {
        weights = {scratch.s, kAttnBlock, 1};
        attn_dots<V>(q, query_ld(s), s.heads, k.row, d, n, scratch.s);
        for (int h = 0; h < s.heads; ++h) {
          attn_softmax_row<V>(scratch.s + h * kAttnBlock, n, s.scale, state.max + h, state.sum + h,
                              scratch.alpha + h);
        }
      } else {
        attn_logits<V>(q, vectors, k.p, k.ld, d, n, scratch.s);
        for (int v = 0; v < vectors; ++v) {
          attn_softmax_lanes<V>(scratch.s + v * kAttnBlock * W, n, s.scale, state.max + v * W,
                                state.sum + v * W, scratch.alpha + v * W);
        }
      }
      state.keys += n;
      if (s.dv == 0) continue;
      if (s.v.d > 0) load_values(s, keys, from, n, scratch.v, &v);
      attn_values<V>(weights, s.heads, s.few_heads ? s.heads : W, int64_t{kAttnBlock} * W,
                     first ? nullptr : scratch.alpha, s.v.d > 0 ? v.row : k.row, s.dv, n, state.out,
                     attn_padded(s.dv));
    }
  }

  static void merge(const AttnShape &s, AttnState &to, const AttnState &from) {
    using F = typename V::F;
    if (from.keys == 0) return;
    const int64_t ld = attn_padded(s.dv);
    const bool copy = to.keys == 0;
    for (int h = 0; h < s.heads; ++h) {
      const float a = copy ? -__builtin_inff() : to.max[h];
      const float b = from.max[h];
      const float top = b > a ? b : a;
      const F base = attn_finite_max<V>(V::set1(top));
      const F keep = exp_nonpositive<V>(V::sub(V::set1(a), base));
      const F add = exp_nonpositive<V>(V::sub(V::set1(b), base));
      float *out = to.out + h * ld;
      const float *other = from.out + h * ld;
      alignas(64) float factors[2][W];
      V::store(factors[0], keep);
      V::store(factors[1], add);
      if (copy) {
        for (int64_t i = 0; i < s.dv; i += W) V::store(out + i, V::load(other + i));
        to.sum[h] = from.sum[h];
      } else {
        for (int64_t i = 0; i < s.dv; i += W) {
          V::store(out + i, V::fma(V::load(out + i), keep, V::mul(V::load(other + i), add)));
        }
        to.sum[h] = to.sum[h] * factors[0][0] + from.sum[h] * factors[1][0];
      }
      to.max[h] = top;
    }
    to.keys += from.keys;
  }

  static constexpr AttnTier table() {
    return {V::kWidth / 2, query_bytes, scratch_bytes, pack_query,
            accumulate,    merge,       attn_write<V>};
  }
};

}  // namespace
}  // namespace dsa::cpu
