// The indexer's kernels of one SIMD tier: I[t, s] = k_scale[s] * sum_h w[t, h] * relu(q[t, h] .
// k[s]). They see addresses, element types and sizes; which keys a row sees is the driver's
// business.
//
// A score's bits depend on its own query, weights, key, scales, Hi, Di and types alone. So a lane
// is a key, every product is one chain over d = 0 … Di-1 that starts at +0, and the heads are added
// in an order that only Hi decides:
//   acc = acc + w_h * relu(dot_h), h = 0 … Hi-1, acc = +0 first, then * k_scale
// with fused multiply-adds in both chains (avx2 and avx512 agree bit for bit), with product and sum
// rounded apart (scalar), or with the tile instruction's dot, which sums pairs and flushes
// denormals (amx).
#pragma once

#include <cstddef>
#include <cstdint>

#include "dsa.h"

namespace dsa::cpu {

enum class IndexerType : int32_t {
  kF32 = DSA_F32,
  kF16 = DSA_F16,
  kBf16 = DSA_BF16,
  kE4m3 = DSA_F8_E4M3FN
};

constexpr int32_t kIndexerMaxDim = 1024;
constexpr size_t kIndexerAlignment = 64;  // bytes, of packed queries and packed key blocks

// One query row as the caller holds it; strides in elements.
struct IndexerQuery {
  const void* q;  // [Hi, Di]
  IndexerType q_type;
  ptrdiff_t q_head_stride;
  ptrdiff_t q_dim_stride;
  const float* q_scale;  // [Hi], multiplied into q before the product; nullptr: 1
  ptrdiff_t q_scale_stride;
  const void* w;  // [Hi]; nullptr: 1
  IndexerType w_type;
  ptrdiff_t w_stride;
};

// Several packed queries against one packed block of keys.
struct IndexerScore {
  const void* queries;  // [num_queries] packed queries, query_bytes() apart
  int32_t num_queries;
  int32_t heads;  // Hi
  int32_t dim;    // Di
  bool relu;
  const void* keys;      // one packed block
  const float* k_scale;  // [key_block]; nullptr: 1
  float* scores;         // [num_queries, key_block], every lane written
  ptrdiff_t scores_stride;
  // Rows [key_block] of the block that comes next, to be prefetched meanwhile; nullptr: none. With
  // one query, keys that come from memory would otherwise cost a third of the time.
  const void* const* next_rows;
  int32_t next_row_bytes;
};

struct IndexerTier {
  const char* name;
  int32_t key_block;  // keys in a packed block

  // Bytes of one packed query and of one packed key block, multiples of kIndexerAlignment.
  size_t (*query_bytes)(int32_t heads, int32_t dim);
  size_t (*key_bytes)(int32_t dim);

  bool (*takes)(IndexerType q, IndexerType k, bool q_scaled);

  void (*pack_query)(const IndexerQuery& query, int32_t heads, int32_t dim, void* packed);
  // rows [key_block]: each key's first element; nullptr gives zeros and reads nothing.
  void (*pack_keys)(const void* const* rows, IndexerType type, ptrdiff_t dim_stride, int32_t dim,
                    void* packed);

  // Around a thread's calls of score: the AMX tier sets its tile shapes up and releases them.
  void (*begin)();
  void (*end)();
  void (*score)(const IndexerScore& args);
};

const IndexerTier& indexer_tier_scalar();
const IndexerTier& indexer_tier_avx2();
const IndexerTier& indexer_tier_avx512();
const IndexerTier& indexer_tier_amx();

}  // namespace dsa::cpu
