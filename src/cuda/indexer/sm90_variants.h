// The compiled forms of the Hopper indexer's kernel.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "cuda/indexer/indexer.h"

namespace dsa::cuda::sm90 {

inline constexpr int32_t kTileKeys = 128;  // multiplied at once

// How the scales of a box of keys come: there is one for all keys or none, by a tensor map, or (of
// a page's part, which is always complete) as a run of bytes.
enum class BoxScales : int32_t { kOne, kMap, kRun };

// Blocks of the call's rows, of which a form takes a number together.
struct RowGrid {
  int64_t blocks;
  int64_t in_request;  // blocks of one request; 0: blocks are of all rows in order
  int64_t first_request;
  bool keys_differ;  // between requests
};

struct ScoreParams {
  ScoreCall call;
  RowGrid rows;
  // For the copy engine: keys as bytes [outer, inner, row] in boxes of 1 << box_shift rows of 128
  // bytes, their scales as f32 [outer, inner].
  CUtensorMap keys_map;
  CUtensorMap scale_map;
  bool boxes;  // it copies keys and scales
  // Likewise queries as bytes [T, Hi, row] in boxes of one query's Hi rows.
  CUtensorMap queries_map;
  bool query_boxes;
  BoxScales box_scales;
  int32_t box_shift;
  // Rows can be copied 16 bytes at a time.
  bool q_aligned;
  bool keys_aligned;
  // f32 weights that can be loaded 16 bytes at a time, no scales of queries.
  bool plain_weights;
};

struct Variant {
  int32_t heads;    // Hi at most
  int32_t columns;  // (row, head) pairs multiplied at once, of `heads` a row
  int32_t threads;
  int32_t shared_bytes;
  void (*function)(ScoreParams);
};

// By heads, then by columns, rising.
struct Variants {
  const Variant* data;
  int32_t size;
};
Variants e4m3_variants();
Variants bf16_variants();

}  // namespace dsa::cuda::sm90
