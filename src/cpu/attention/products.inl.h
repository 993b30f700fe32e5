// The two products of attention on f32 tiles: logits S = K q and outputs O += P V.
//
// Many heads: lane = head, S is [head vector][key][lane]; a key's element is broadcast from memory,
// so keys need no transposition. Every logit is one chain of multiply-adds over d = 0, 1, ….
// Few heads (≤ half a vector): lane = d, S is [head][key]; a logit is a vector of partial sums,
// added at the end.
// Outputs: lane = dv in both, P's element is broadcast.
#pragma once

#include <cstdint>

#include "cpu/attention/tier.h"

namespace dsa::cpu {
namespace {

constexpr int kAttnBlock = 64;  // keys of a tile: 64 x 576 floats are 147 KB, they live in L2

// Register tiles: accumulators plus operands must fit into the register file.
template <int registers>
struct AttnTile {  // 8: the scalar tier
  static constexpr int kQueryVectors = 1, kKeys = 4, kValueVectors = 2, kHeads = 2;
};
template <>
struct AttnTile<16> {
  static constexpr int kQueryVectors = 2, kKeys = 5, kValueVectors = 3, kHeads = 4;
};
template <>
struct AttnTile<32> {
  static constexpr int kQueryVectors = 2, kKeys = 8, kValueVectors = 4, kHeads = 4;
};

// s[v][j][lane] = sum over d of q[d][v][lane] * k[j][d] for VN head vectors and JN keys.
template <class V, int VN, int JN>
void attn_logits_tile(const float *q, const float *k, int64_t ld, int d, float *s) {
  using F = typename V::F;
  constexpr int W = V::kWidth;
  F acc[VN][JN];
  for (int v = 0; v < VN; ++v) {
    for (int j = 0; j < JN; ++j) acc[v][j] = V::zero();
  }
  for (int i = 0; i < d; ++i) {
    F qv[VN];
    for (int v = 0; v < VN; ++v) qv[v] = V::load(q + (int64_t{i} * VN + v) * W);
    for (int j = 0; j < JN; ++j) {
      const F x = V::set1(k[j * ld + i]);
      for (int v = 0; v < VN; ++v) acc[v][j] = V::fma(qv[v], x, acc[v][j]);
    }
  }
  for (int v = 0; v < VN; ++v) {
    for (int j = 0; j < JN; ++j) V::store(s + (v * kAttnBlock + j) * W, acc[v][j]);
  }
}

// q [d][VN * kWidth], k [n][ld] → s [VN][kAttnBlock][kWidth]
template <class V, int VN>
void attn_logits_vectors(const float *q, const float *k, int64_t ld, int d, int n, float *s) {
  constexpr int JN = AttnTile<V::kRegisters>::kKeys * (VN == 1 ? 2 : 1);
  int j = 0;
  for (; j + JN <= n; j += JN) {
    attn_logits_tile<V, VN, JN>(q, k + j * ld, ld, d, s + j * V::kWidth);
  }
  for (; j + 4 <= n; j += 4) {
    attn_logits_tile<V, VN, 4>(q, k + j * ld, ld, d, s + j * V::kWidth);
  }
  for (; j < n; ++j) attn_logits_tile<V, VN, 1>(q, k + j * ld, ld, d, s + j * V::kWidth);
}

// Packed query: groups of kQueryVectors head vectors, [d][vectors * kWidth] each; the last group
// has what is left.
template <class V>
void attn_logits(const float *q, int vectors, const float *k, int64_t ld, int d, int n, float *s) {
  constexpr int VN = AttnTile<V::kRegisters>::kQueryVectors;
  int v = 0;
  for (; v + VN <= vectors; v += VN) {
    attn_logits_vectors<V, VN>(q + int64_t{v} * V::kWidth * d, k, ld, d, n,
                               s + v * kAttnBlock * V::kWidth);
  }
  for (; v < vectors; ++v) {
    attn_logits_vectors<V, 1>(q + int64_t{v} * V::kWidth * d, k, ld, d, n,
                              s + v * kAttnBlock * V::kWidth);
  }
}

// s[h][j] = q[h] . k[j] for HN heads and kWidth / HN keys; rows of q and k are whole vectors, zeros
// past d. Always as many sums as lanes, so that all are added up in the same order.
template <class V, int HN>
void attn_dots_tile(const float *q, int64_t ldq, const float *const *k, int vectors, float *s) {
  using F = typename V::F;
  constexpr int JN = V::kWidth / HN;
  F acc[HN * JN];
  for (int i = 0; i < HN * JN; ++i) acc[i] = V::zero();
  for (int i = 0; i < vectors; ++i) {
    F y[HN];
    for (int h = 0; h < HN; ++h) y[h] = V::load(q + h * ldq + i * V::kWidth);
    for (int j = 0; j < JN; ++j) {
      const F x = V::load(k[j] + i * V::kWidth);
      for (int h = 0; h < HN; ++h) acc[h * JN + j] = V::fma(y[h], x, acc[h * JN + j]);
    }
  }
  alignas(64) float sums[HN * JN];
  V::store(sums, V::reduce_add_each(acc));
  for (int h = 0; h < HN; ++h) {
    for (int j = 0; j < JN; ++j) s[h * kAttnBlock + j] = sums[h * JN + j];
  }
}

// The last keys, fewer than a tile takes: the last of them again and again, into the part of s that
// nobody reads.
template <class V, int HN>
void attn_dots_heads(const float *q, int64_t ldq, const float *const *k, int vectors, int n,
                     float *s) {
  constexpr int JN = V::kWidth / HN;
  int j = 0;
  for (; j + JN <= n; j += JN) attn_dots_tile<V, HN>(q, ldq, k + j, vectors, s + j);
  if (j == n) return;
  const float *last[JN];
  for (int i = 0; i < JN; ++i) last[i] = k[j + i < n ? j + i : n - 1];
  attn_dots_tile<V, HN>(q, ldq, last, vectors, s + j);
}

// q [heads][ldq], n rows k → s [heads][kAttnBlock]
template <class V>
void attn_dots(const float *q, int64_t ldq, int heads, const float *const *k, int d, int n,
               float *s) {
  const int vectors = (d + V::kWidth - 1) / V::kWidth;
  int h = 0;
  if constexpr (V::kWidth > 1) {
    for (; h + 4 <= heads; h += 4) {
      attn_dots_heads<V, 4>(q + h * ldq, ldq, k, vectors, n, s + h * kAttnBlock);
    }
    for (; h + 2 <= heads; h += 2) {
      attn_dots_heads<V, 2>(q + h * ldq, ldq, k, vectors, n, s + h * kAttnBlock);
    }
  }
  for (; h < heads; ++h) {
    attn_dots_heads<V, 1>(q + h * ldq, ldq, k, vectors, n, s + h * kAttnBlock);
  }
}

// Where P's element of head h and key j lies: p + h * head + j * key. In the form for many heads
// only heads of one vector are neighbours.
struct AttnWeights {
  const float *p;
  int64_t head;
  int64_t key;
};

// o[h] = alpha[h] * o[h] + sum over j of p[h][j] * v[j][at …], for HN heads and VN vectors of dv.
template <class V, int HN, int VN>
void attn_values_tile(AttnWeights w, const float *alpha, const float *const *v, int at, int n,
                      float *o, int64_t ldo) {
  using F = typename V::F;
  constexpr int W = V::kWidth;
  F acc[HN][VN];
  for (int h = 0; h < HN; ++h) {
    for (int x = 0; x < VN; ++x) {
      acc[h][x] = alpha ? V::mul(V::set1(alpha[h]), V::load(o + h * ldo + x * W)) : V::zero();
    }
  }
  for (int j = 0; j < n; ++j) {
    F row[VN];
    for (int x = 0; x < VN; ++x) row[x] = V::load(v[j] + at + x * W);
    for (int h = 0; h < HN; ++h) {
      const F p = V::set1(w.p[h * w.head + j * w.key]);
      for (int x = 0; x < VN; ++x) acc[h][x] = V::fma(p, row[x], acc[h][x]);
    }
  }
  for (int h = 0; h < HN; ++h) {
    for (int x = 0; x < VN; ++x) V::store(o + h * ldo + x * W, acc[h][x]);
  }
}

template <class V, int VN>
void attn_values_heads(AttnWeights w, int heads, const float *alpha, const float *const *v, int at,
                       int n, float *o, int64_t ldo) {
  constexpr int HN = AttnTile<V::kRegisters>::kHeads;
  int h = 0;
  const auto from = [&](int head) { return AttnWeights{w.p + head * w.head, w.head, w.key}; };
  const auto scale = [&](int head) { return alpha ? alpha + head : nullptr; };
  for (; h + HN <= heads; h += HN) {
    attn_values_tile<V, HN, VN>(from(h), scale(h), v, at, n, o + h * ldo, ldo);
  }
  for (; h < heads; ++h) {
    attn_values_tile<V, 1, VN>(from(h), scale(h), v, at, n, o + h * ldo, ldo);
  }
}

// p of `heads` heads: `group` of them are neighbours, the groups `group_step` apart. alpha null: o
// is not initialised yet. A slice of V, n by VN * kWidth, stays in L1 while all heads use it.
template <class V>
void attn_values(AttnWeights w, int heads, int group, int64_t group_step, const float *alpha,
                 const float *const *v, int dv, int n, float *o, int64_t ldo) {
  constexpr int VN = AttnTile<V::kRegisters>::kValueVectors;
  constexpr int W = V::kWidth;
  const int vectors = (dv + W - 1) / W;
  for (int x = 0; x < vectors;) {
    const bool whole = x + VN <= vectors;
    for (int h = 0; h < heads; h += group) {
      const AttnWeights part{w.p + h / group * group_step, w.head, w.key};
      const int m = heads - h < group ? heads - h : group;
      const float *a = alpha ? alpha + h : nullptr;
      float *to = o + h * ldo + x * W;
      if (whole) {
        attn_values_heads<V, VN>(part, m, a, v, x * W, n, to, ldo);
      } else {
        attn_values_heads<V, 1>(part, m, a, v, x * W, n, to, ldo);
      }
    }
    x += whole ? VN : 1;
  }
}

}  // namespace
}  // namespace dsa::cpu
