// The Hopper indexer's form for few query rows: decoding. What counts there is latency, and few
// bytes of parameters.
#pragma once

#include "cuda/indexer/sm90_maps.h"

namespace dsa::cuda {
namespace sm90 {

// Units of rows of the same keys: a request each, or all rows of the call. Strides are bytes, of
// units where nothing else is said.
struct DecodeParams {
  KeyBoxes keys;
  CUtensorMap queries_map;
  // Row i of a unit sees base + length + i * step keys, `limit` at most.
  const char* lengths;  // i32; nullptr: 0
  int64_t length_stride;
  int32_t base, step, limit;
  int32_t units;
  int32_t rows;       // of a unit
  int32_t first_row;  // of the call
  const char* table;  // i32 pages of keys; nullptr: a unit's keys are neighbours
  int64_t table_stride, table_page_stride;
  int32_t page_tiles;     // tiles of a page
  int32_t pages;          // of the cache
  int32_t last_page;      // of a request
  bool keys_by_unit;      // not paged: the unit is the cache's outer axis
  const char* key_scale;  // one for all keys, or of the first page's; nullptr: 1
  int64_t key_scale_stride;
  const char* w;         // f32 [rows of the call, Hi]
  int64_t w_stride;      // of rows
  char* scores;          // f32 [rows of the call, columns]
  int64_t score_stride;  // of rows
  float hidden;          // what a key outside the cache scores
  bool keep_hidden;
  bool relu;
  int32_t fill_columns;  // -inf from the visible ones to here
};

struct DecodeVariant {
  int32_t dtype;
  int32_t heads;
  int32_t rows;  // of a unit at most
  int32_t threads;
  int32_t shared_bytes;
  int32_t blocks;  // of a multiprocessor
  void (*function)(DecodeParams);
};

}  // namespace sm90

// Enqueues the call where the form takes it: else `taken` is false, and nothing is done.
cudaError_t enqueue_decode(const ScoreCall& call, const Run& run, bool& taken);
cudaError_t load_decode();

}  // namespace dsa::cuda
