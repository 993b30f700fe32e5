// Indexer, AMX: bf16 queries and keys in tiles of 16 heads by 16 keys, 32 elements of Di a step.
// Four sums (two head tiles by two key tiles) share two loads a side, so that 64 cycles of tile
// products stand against 32 of tile loads; ReLU, weights and the head sum run on the 4 KB of
// results in L1, four key vectors' chains beside each other.
#include <immintrin.h>

#include "cpu/indexer/lanes_avx512.h"
#include "cpu/indexer/pack_keys_x86.inl.h"
#include "cpu/indexer/pack_query.inl.h"
#include "cpu/simd/avx512.h"

namespace dsa::cpu {
namespace {

constexpr int kTileRows = 16;   // heads of an A tile, pairs of elements of a B tile
constexpr int kTileBytes = 64;  // of a row: 32 bf16, or 16 keys' pairs, or 16 f32 results
constexpr int kTileSize = kTileRows * kTileBytes;
constexpr int kTileDim = 32;  // elements of Di that one tile product sums
constexpr int kKeyTiles = 4;
constexpr int kBlock = kKeyTiles * 16;

inline int32_t tiles(int32_t n, int32_t size) { return (n + size - 1) / size; }

// Packed query: [head tiles, dim tiles, 16 heads, 32] bf16, then [head tiles * 16] f32 weights.
size_t query_bytes(int32_t heads, int32_t dim) {
  return size_t(tiles(heads, kTileRows)) *
         (size_t(tiles(dim, kTileDim)) * kTileSize + kTileRows * sizeof(float));
}

// Packed keys: [key tiles, dim tiles, 16 pairs, 16 keys, 2] bf16.
size_t key_bytes(int32_t dim) {
  return size_t(kKeyTiles) * size_t(tiles(dim, kTileDim)) * kTileSize;
}

bool takes_bf16(IndexerType q, IndexerType k, bool q_scaled) {
  return q == IndexerType::kBf16 && k == IndexerType::kBf16 && !q_scaled;
}

void pack_query(const IndexerQuery& a, int32_t heads, int32_t dim, void* packed) {
  const int32_t head_tiles = tiles(heads, kTileRows), dim_tiles = tiles(dim, kTileDim);
  const uint16_t* q = static_cast<const uint16_t*>(a.q);
  uint16_t* out = static_cast<uint16_t*>(packed);
  for (int32_t h = 0; h < head_tiles * kTileRows; ++h) {
    uint16_t* row =
        out + (ptrdiff_t(h / kTileRows) * dim_tiles * kTileRows + h % kTileRows) * kTileDim;
    for (int32_t d = 0; d < dim_tiles * kTileDim; d += kTileDim, row += kTileRows * kTileDim) {
      const int32_t n = h < heads ? (dim - d < kTileDim ? dim - d : kTileDim) : 0;
      if (n == 0) {
        _mm512_storeu_si512(row, _mm512_setzero_si512());
        continue;
      }
      const uint16_t* from = q + h * a.q_head_stride + d * a.q_dim_stride;
      if (a.q_dim_stride == 1) {
        _mm512_storeu_si512(row,
                            _mm512_maskz_loadu_epi16(__mmask32(0xffffffffu >> (32 - n)), from));
      } else {
        for (int32_t i = 0; i < kTileDim; ++i) row[i] = i < n ? from[i * a.q_dim_stride] : 0;
      }
    }
  }
  float* w = reinterpret_cast<float*>(static_cast<char*>(packed) +
                                      size_t(head_tiles) * size_t(dim_tiles) * kTileSize);
  for (int32_t h = 0; h < heads; ++h) {
    w[h] = a.w == nullptr ? 1.0f : element_f32(a.w, a.w_type, h * a.w_stride);
  }
}

// One pair of elements of 16 keys; element d + 1 may lie past the end.
void pack_pair(const void* const* rows, ptrdiff_t stride, int32_t d, int32_t dim, uint16_t* out) {
  for (int i = 0; i < 16; ++i) {
    const uint16_t* row = static_cast<const uint16_t*>(rows[i]);
    out[2 * i] = row == nullptr ? 0 : row[d * stride];
    out[2 * i + 1] = row == nullptr || d + 1 >= dim ? 0 : row[(d + 1) * stride];
  }
}

void pack_keys(const void* const* rows, IndexerType, ptrdiff_t stride, int32_t dim, void* packed) {
  const int32_t dim_tiles = tiles(dim, kTileDim);
  for (int t = 0; t < kKeyTiles; ++t, rows += 16) {
    uint16_t* out = static_cast<uint16_t*>(packed) +
                    ptrdiff_t(t) * dim_tiles * (kTileSize / ptrdiff_t(sizeof(uint16_t)));
    // A pair of bf16 is one 32-bit unit, and units transposed as f32 are a B tile's rows.
    int32_t pair = 0;
    if (stride == 1) {
      pair = dim / 2;
      using Pack = PackKeys<avx512::KeyLanes, 16>;
      Pack::pack<IndexerType::kF32>(rows, pair, reinterpret_cast<float*>(out));
    }
    for (; 2 * pair < dim; ++pair) pack_pair(rows, stride, 2 * pair, dim, out + pair * 32);
    for (; pair < dim_tiles * kTileRows; ++pair) {
      _mm512_storeu_si512(out + pair * 32, _mm512_setzero_si512());
    }
  }
}

// Eight tiles of 16 rows of 64 bytes. A constant: the compiler is told of the first 8 bytes only
// that the instruction reads, and could drop the stores to the others.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);
constexpr TileConfig kTileConfig;

void begin() { _tile_loadconfig(&kTileConfig); }

void end() { _tile_release(); }

// acc [2 key vectors] += w[h] * relu(sums[., h]) for h = 0 … heads-1; sums [2, 16, 16].
template <bool relu>
inline void add_heads(const float* sums, const float* w, int32_t heads, __m512* acc) {
  for (int32_t h = 0; h < heads; ++h) {
    const __m512 weight = _mm512_set1_ps(w[h]);
    __m512 x = _mm512_load_ps(sums + h * 16);
    __m512 y = _mm512_load_ps(sums + 256 + h * 16);
    if (relu) {
      x = _mm512_max_ps(_mm512_setzero_ps(), x);
      y = _mm512_max_ps(_mm512_setzero_ps(), y);
    }
    acc[0] = _mm512_fmadd_ps(weight, x, acc[0]);
    acc[1] = _mm512_fmadd_ps(weight, y, acc[1]);
  }
}

// Two head tiles by two key tiles: sums [head tile, key tile, 16 heads, 16 keys].
inline void products_2x2(const char* q, const char* keys, ptrdiff_t row_of_tiles, int32_t dim_tiles,
                         float* sums) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int32_t d = 0; d < dim_tiles; ++d, q += kTileSize, keys += kTileSize) {
    _tile_loadd(4, q, kTileBytes);
    _tile_loadd(6, keys, kTileBytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, keys + row_of_tiles, kTileBytes);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, q + row_of_tiles, kTileBytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, sums, kTileBytes);
  _tile_stored(1, sums + 256, kTileBytes);
  _tile_stored(2, sums + 512, kTileBytes);
  _tile_stored(3, sums + 768, kTileBytes);
}

// One head tile by four key tiles: sums [key tile, 16 heads, 16 keys]. An element's sum does not
// depend on which of the two forms ran: both add its tile products in the order of d.
inline void products_1x4(const char* q, const char* keys, ptrdiff_t row_of_tiles, int32_t dim_tiles,
                         float* sums) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int32_t d = 0; d < dim_tiles; ++d, q += kTileSize, keys += kTileSize) {
    _tile_loadd(4, q, kTileBytes);
    _tile_loadd(5, keys, kTileBytes);
    _tile_dpbf16ps(0, 4, 5);
    _tile_loadd(6, keys + row_of_tiles, kTileBytes);
    _tile_dpbf16ps(1, 4, 6);
    _tile_loadd(7, keys + 2 * row_of_tiles, kTileBytes);
    _tile_dpbf16ps(2, 4, 7);
    _tile_loadd(5, keys + 3 * row_of_tiles, kTileBytes);
    _tile_dpbf16ps(3, 4, 5);
  }
  _tile_stored(0, sums, kTileBytes);
  _tile_stored(1, sums + 256, kTileBytes);
  _tile_stored(2, sums + 512, kTileBytes);
  _tile_stored(3, sums + 768, kTileBytes);
}

template <bool relu>
void score_query(const IndexerScore& a, const char* q, NextKeys& next, float* scores) {
  alignas(64) float sums[2][1024];  // two, so that products need not wait for the heads before
  const int32_t dim_tiles = tiles(a.dim, kTileDim);
  const ptrdiff_t row_of_tiles = ptrdiff_t(dim_tiles) * kTileSize;
  const char* keys = static_cast<const char*>(a.keys);
  const float* w = reinterpret_cast<const float*>(q + tiles(a.heads, kTileRows) * row_of_tiles);
  __m512 acc[kKeyTiles];
  for (__m512& x : acc) x = _mm512_setzero_ps();
  int32_t h = 0;
  for (; h + kTileRows < a.heads; h += 2 * kTileRows, q += 2 * row_of_tiles) {
    const int32_t second = a.heads - h - kTileRows;
    next.fetch();
    for (int pair = 0; pair < 2; ++pair) {
      products_2x2(q, keys + 2 * pair * row_of_tiles, row_of_tiles, dim_tiles, sums[pair]);
      add_heads<relu>(sums[pair], w + h, kTileRows, acc + 2 * pair);
      add_heads<relu>(sums[pair] + 512, w + h + kTileRows, second < kTileRows ? second : kTileRows,
                      acc + 2 * pair);
    }
  }
  if (h < a.heads) {
    next.fetch();
    products_1x4(q, keys, row_of_tiles, dim_tiles, sums[0]);
    add_heads<relu>(sums[0], w + h, a.heads - h, acc);
    add_heads<relu>(sums[0] + 512, w + h, a.heads - h, acc + 2);
  }
  for (int t = 0; t < kKeyTiles; ++t) {
    if (a.k_scale != nullptr) acc[t] = _mm512_mul_ps(acc[t], _mm512_loadu_ps(a.k_scale + 16 * t));
    _mm512_storeu_ps(scores + 16 * t, acc[t]);
  }
}

void score(const IndexerScore& a) {
  const size_t stride = query_bytes(a.heads, a.dim);
  NextKeys next(a, kBlock, a.num_queries * tiles(a.heads, 2 * kTileRows));
  for (int32_t i = 0; i < a.num_queries; ++i) {
    const char* q = static_cast<const char*>(a.queries) + size_t(i) * stride;
    float* scores = a.scores + i * a.scores_stride;
    a.relu ? score_query<true>(a, q, next, scores) : score_query<false>(a, q, next, scores);
  }
}

}  // namespace

const IndexerTier& indexer_tier_amx() {
  static const IndexerTier tier = {
      .name = "amx",
      .key_block = kBlock,
      .query_bytes = query_bytes,
      .key_bytes = key_bytes,
      .takes = takes_bf16,
      .pack_query = pack_query,
      .pack_keys = pack_keys,
      .begin = begin,
      .end = end,
      .score = score,
  };
  return tier;
}

}  // namespace dsa::cpu
