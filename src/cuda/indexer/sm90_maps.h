// The Hopper indexer's inputs for the copy engine, where it can take them.
#pragma once

#include <cuda.h>

#include <optional>

#include "cuda/indexer/indexer.h"

namespace dsa::cuda::sm90 {

// How the scales of a box of keys come: there is one for all keys or none, by a tensor map, or (of
// a page's part, which is always complete) as a run of bytes.
enum class BoxScales : int32_t { kOne, kMap, kRun };

// Keys as bytes [outer, inner, row] in boxes of 1 << shift rows of 128 bytes, their scales as f32
// [outer, inner]. Keys of one box are neighbours: a box does not cross a page.
struct KeyBoxes {
  CUtensorMap keys;
  CUtensorMap scale;
  BoxScales scales;
  int32_t shift;
};

// Boxes of 1 << most_shift rows, or fewer where pages ask for it.
std::optional<KeyBoxes> map_keys(const IndexerParams& p, int32_t most_shift);

// Queries as bytes [T, Hi, row] in boxes of one query's Hi rows.
std::optional<CUtensorMap> map_queries(const IndexerParams& p);

// Rows lie `row_stride` bytes apart, whatever leading axes the caller has.
bool even_rows(const RowTensor& x);

// Rows can be copied 16 bytes at a time.
bool keys_aligned(const IndexerParams& p);
bool q_aligned(const IndexerParams& p);
// f32 weights that can be loaded 16 bytes at a time, no scales of queries.
bool weights_plain(const IndexerParams& p);

}  // namespace dsa::cuda::sm90
