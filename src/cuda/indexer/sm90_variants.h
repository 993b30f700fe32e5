// The compiled forms of the Hopper indexer's kernel.
#pragma once

#include <cstdint>

#include "cuda/indexer/sm90_maps.h"

namespace dsa::cuda::sm90 {

inline constexpr int32_t kTileKeys = 128;  // multiplied at once

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
  // For the copy engine, which copies keys and scales, or queries, where these say so.
  KeyBoxes keys;
  CUtensorMap queries_map;
  bool boxes;
  bool query_boxes;
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
