// The compiled forms of the Hopper indexer's kernel.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "core/params.h"

namespace dsa::cuda::sm90 {

inline constexpr int32_t kThreads = 384;  // of a block
inline constexpr int32_t kBoxRows = 64;   // at most; keys that one producer warp copies for a tile

struct ScoreParams {
  IndexerParams p;
  // Keys as bytes [outer, inner, row]; its boxes are box_rows rows of 128 bytes. 0 rows: no map.
  CUtensorMap keys_map;
  int32_t box_rows;
  // Rows can be copied 16 bytes at a time.
  bool q_aligned;
  bool keys_aligned;
};

struct Variant {
  int32_t heads;    // Hi at most
  int32_t columns;  // (row, head) pairs multiplied at once, of `heads` a row
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
