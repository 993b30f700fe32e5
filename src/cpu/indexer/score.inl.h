// The f32 score kernel, generic over a tier's vectors: a register tile of kVectors key vectors by
// kRows (query, head) rows, each of its sums one chain over d.
#pragma once

#include "cpu/indexer/tier.h"

namespace dsa::cpu {
namespace {

// Row stride of a packed query. 16 floats over a multiple of 16, so that the rows of one register
// tile do not fall into the same L1 sets when Di is a power of two.
inline ptrdiff_t query_row_floats(int32_t dim) {
  return ((ptrdiff_t(dim) + 15) & ~ptrdiff_t(15)) + 16;
}

// [Hi, row floats] of q, then [Hi rounded up to 16] weights.
inline size_t f32_query_bytes(int32_t heads, int32_t dim) {
  return (size_t(heads) * size_t(query_row_floats(dim)) + ((size_t(heads) + 15) & ~size_t(15))) *
         sizeof(float);
}

inline void no_setup() {}

// Prefetches the next block's rows into L2, a share of them for each of `steps` calls of fetch.
class NextKeys {
 public:
  NextKeys(const IndexerScore& a, int32_t block, int32_t steps)
      : rows_(a.next_rows), bytes_(a.next_row_bytes), left_(a.next_rows == nullptr ? 0 : block) {
    share_ = steps > 0 ? (left_ + steps - 1) / steps : 0;
  }
  void fetch() {
    int32_t n = left_ < share_ ? left_ : share_;
    left_ -= n;
    for (; n > 0; --n) {
      const char* row = static_cast<const char*>(*rows_++);
      if (row == nullptr) continue;
      for (int32_t i = 0; i < bytes_; i += 64) __builtin_prefetch(row + i, 0, 2);
    }
  }

 private:
  const void* const* rows_;
  int32_t bytes_;
  int32_t left_;
  int32_t share_;
};

template <class V, int kVectors, int kHeadTile>
struct ScoreF32 {
  using F = typename V::F;
  static constexpr int kBlock = kVectors * V::kWidth;

  // Adds kHeads heads of kQueries queries into acc [kQueries, kBlock].
  // q [kQueries, kHeads, Di], keys [Di, kBlock], w [kQueries, kHeads]. A call of its own: inlined,
  // acc and the zero vector would stay in registers and push the keys out to the stack.
  template <int kQueries, int kHeads>
  [[gnu::noinline]] static void add_heads(const float* q, ptrdiff_t row, ptrdiff_t query,
                                          const float* w, const float* keys, int32_t dim, bool relu,
                                          float* acc) {
    constexpr int kRows = kQueries * kHeads;
    F dot[kRows][kVectors];
#pragma GCC unroll 64
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) dot[r][v] = V::zero();
    }
    const float* rows[kRows];
#pragma GCC unroll 64
    for (int r = 0; r < kRows; ++r) rows[r] = q + r / kHeads * query + r % kHeads * row;
    for (ptrdiff_t d = 0; d < dim; ++d, keys += kBlock) {
      F key[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) key[v] = V::load(keys + v * V::kWidth);
#pragma GCC unroll 64
      for (int r = 0; r < kRows; ++r) {
        const F x = V::set1(rows[r][d]);
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) dot[r][v] = V::fma(x, key[v], dot[r][v]);
      }
    }
    if (relu) {
#pragma GCC unroll 64
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) dot[r][v] = V::relu(dot[r][v]);
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < kQueries; ++i) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        F sum = V::load(acc + i * kBlock + v * V::kWidth);
#pragma GCC unroll 16
        for (int h = 0; h < kHeads; ++h) {
          sum = V::fma(V::set1(w[i * query + h]), dot[i * kHeads + h][v], sum);
        }
        V::store(acc + i * kBlock + v * V::kWidth, sum);
      }
    }
  }

  // The last heads, fewer than a tile: Hi mod kHeadTile.
  template <int kHeads>
  static void add_last(int heads, const float* q, ptrdiff_t row, const float* w, const float* keys,
                       int32_t dim, bool relu, float* acc) {
    if (heads == kHeads) {
      add_heads<1, kHeads>(q, row, 0, w, keys, dim, relu, acc);
    } else if constexpr (kHeads > 1) {
      add_last<kHeads - 1>(heads, q, row, w, keys, dim, relu, acc);
    }
  }

  static void finish(const float* acc, const float* k_scale, float* scores) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      F sum = V::load(acc + v * V::kWidth);
      if (k_scale != nullptr) sum = V::mul(sum, V::load(k_scale + v * V::kWidth));
      V::store(scores + v * V::kWidth, sum);
    }
  }

  // Few heads leave a tile empty; several queries fill it: kQueries * kHeads = kHeadTile.
  template <int kHeads>
  static int32_t score_pairs(const IndexerScore& a, ptrdiff_t row, ptrdiff_t query,
                             NextKeys& next) {
    constexpr int kQueries = kHeadTile / kHeads;
    int32_t i = 0;
    for (; i + kQueries <= a.num_queries; i += kQueries) {
      alignas(64) float acc[kQueries * kBlock] = {};
      const float* q = static_cast<const float*>(a.queries) + i * query;
      next.fetch();
      add_heads<kQueries, kHeads>(q, row, query, q + kHeads * row,
                                  static_cast<const float*>(a.keys), a.dim, a.relu, acc);
      for (int j = 0; j < kQueries; ++j) {
        finish(acc + j * kBlock, a.k_scale, a.scores + (i + j) * a.scores_stride);
      }
    }
    return i;
  }

  static void score(const IndexerScore& a) {
    const ptrdiff_t row = query_row_floats(a.dim);
    const ptrdiff_t query = ptrdiff_t(f32_query_bytes(a.heads, a.dim) / sizeof(float));
    const float* keys = static_cast<const float*>(a.keys);
    NextKeys next(a, kBlock, (a.num_queries * a.heads + kHeadTile - 1) / kHeadTile);
    int32_t i = 0;
    if (a.heads == 1) i = score_pairs<1>(a, row, query, next);
    if (a.heads == 2) i = score_pairs<2>(a, row, query, next);
    if constexpr (kHeadTile >= 8) {
      if (a.heads == 4) i = score_pairs<4>(a, row, query, next);
    }
    for (; i < a.num_queries; ++i) {
      alignas(64) float acc[kBlock] = {};
      const float* q = static_cast<const float*>(a.queries) + i * query;
      const float* w = q + a.heads * row;
      int32_t h = 0;
      for (; h + kHeadTile <= a.heads; h += kHeadTile) {
        next.fetch();
        add_heads<1, kHeadTile>(q + h * row, row, 0, w + h, keys, a.dim, a.relu, acc);
      }
      if (h < a.heads) {
        next.fetch();
        add_last<kHeadTile - 1>(a.heads - h, q + h * row, row, w + h, keys, a.dim, a.relu, acc);
      }
      finish(acc, a.k_scale, a.scores + i * a.scores_stride);
    }
  }

  static size_t key_bytes(int32_t dim) {
    return (size_t(dim) * kBlock * sizeof(float) + kIndexerAlignment - 1) &
           ~(kIndexerAlignment - 1);
  }
};

}  // namespace
}  // namespace dsa::cpu
