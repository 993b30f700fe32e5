// How a ScoreCall is divided between blocks: units of query rows by chunks of keys. From host
// extents alone, so that a captured call can be replayed with other lengths.
#pragma once

#include <algorithm>

#include "cuda/indexer/indexer.h"

namespace dsa::cuda {

struct ScoreWork {
  // Units never hold rows of two requests where T/B says which rows those are: rows come in groups
  // of `group_rows` from `group_base` on.
  int64_t group_base = 0;
  int64_t group_rows = 1;
  int64_t group_units = 1;  // units of a group
  int32_t unit_rows = 1;
  int64_t units = 0;
  // Chunk c of a unit is keys [c, c + 1) * chunk_keys from its first visible key on, and every
  // `chunks`-th chunk after it: a unit's rows may see more keys together than one of them does.
  int64_t chunks = 1;
  int32_t chunk_keys = 0;
  int64_t fill_columns = 0;  // a chunk's share of the columns

  DSA_HOST_DEVICE int64_t items() const { return units * chunks; }
};

struct RowGroups {
  int64_t base, rows, groups;
};
inline RowGroups row_groups(const ScoreCall& call) {
  const int64_t per = call.p.rows.per_request;
  const bool by_request = per > 0 && call.p.rows.batch > 1;
  if (!by_request) return {call.first_row, std::max<int64_t>(call.row_count, 1), 1};
  const int64_t base = call.first_row / per * per;
  // A part of one request is a group of its own: units of rows that are not called for would count
  // as work where chunks are chosen.
  if (call.first_row + call.row_count <= base + per) return {call.first_row, call.row_count, 1};
  return {base, per, (call.first_row + call.row_count - base + per - 1) / per};
}

// Rows of one request that the call is likely to have side by side.
inline int64_t rows_together(const ScoreCall& call) {
  const Rows& rows = call.p.rows;
  const int64_t per =
      rows.per_request > 0 ? rows.per_request : (rows.count + rows.batch - 1) / rows.batch;
  return std::max<int64_t>(1, std::min(per, call.row_count));
}

// What a block of a kernel takes.
struct BlockShape {
  int32_t unit_rows;
  int32_t tile;        // keys scored at once
  int32_t together;    // tiles scored side by side
  int32_t most_tiles;  // of a chunk; a multiple of `together`
};

// Tiles of a chunk such that the blocks are done soonest: waves of blocks, each as long as a chunk
// and the loading of a unit's queries.
inline int64_t best_chunk(int64_t tiles, int64_t units, const BlockShape& shape, int32_t blocks) {
  constexpr int64_t kQueryTiles = 2;
  const int64_t least = std::min<int64_t>(shape.together, tiles);
  int64_t best = least, best_cost = INT64_MAX;
  // Fewer tiles than can be scored side by side only pay where blocks would be idle.
  if (units * ((tiles + least - 1) / least) < blocks) {
    return std::min((tiles * units + blocks - 1) / blocks, least);
  }
  for (int64_t chunk = least; chunk <= shape.most_tiles; chunk += shape.together) {
    const int64_t items = units * ((tiles + chunk - 1) / chunk);
    const int64_t cost = (items + blocks - 1) / blocks * (chunk + kQueryTiles);
    if (cost < best_cost) best = chunk, best_cost = cost;
  }
  return best;
}

inline ScoreWork divide_work(const ScoreCall& call, const BlockShape& shape, int32_t blocks) {
  const RowGroups g = row_groups(call);
  ScoreWork work;
  work.group_base = g.base;
  work.group_rows = g.rows;
  work.unit_rows = shape.unit_rows;
  work.group_units = (g.rows + shape.unit_rows - 1) / shape.unit_rows;
  work.units = g.groups * work.group_units;
  const int64_t tiles =
      std::max<int64_t>(1, (call.p.rows.max_length() + shape.tile - 1) / shape.tile);
  const int64_t chunk = best_chunk(tiles, work.units, shape, blocks);
  work.chunk_keys = static_cast<int32_t>(chunk * shape.tile);
  work.chunks = (tiles + chunk - 1) / chunk;
  const int64_t columns = call.fill ? call.p.scores.extent[0] : 0;
  work.fill_columns = ((columns + work.chunks - 1) / work.chunks + 31) / 32 * 32;
  return work;
}

}  // namespace dsa::cuda
