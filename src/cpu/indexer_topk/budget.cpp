#include "cpu/indexer_topk/budget.h"

#include <algorithm>

namespace dsa::cpu {
namespace {

// 62 MiB; the rest is rounding and counters.
constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kLanesBytes = 14 * kMiB;    // what each lane has once
constexpr uint64_t kQueriesBytes = 16 * kMiB;  // packed queries of all lanes
constexpr uint64_t kScoresBytes = 32 * kMiB;   // lists of all lanes' rows, or all rows' scores

constexpr uint64_t kFewScoresBytes = kMiB / 2;

// (row, head) pairs from which on packing a key block is under 2 % of scoring it.
constexpr int32_t kEnoughPairs = 256;
constexpr int32_t kBlocksPerLane = 2;
constexpr int32_t kItemsPerLane = 4;
constexpr int64_t kLeastRange = 192;

constexpr uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

int32_t row_length(const IndexerTopkParams& p) {
  return static_cast<int32_t>(std::min<int64_t>(p.indexer.rows.max_length(), INT32_MAX));
}

uint64_t row_list_bytes(const IndexerTopkParams& p) {
  return round_up(topk::list_bytes(row_length(p), p.select.k), 64);
}

uint64_t emit_part(const IndexerTopkParams& p) {
  return round_up(topk::emit_bytes(p.select, row_length(p)), 64);
}

uint64_t select_part(const IndexerTopkParams& p) {
  return round_up(topk::scratch_bytes(row_length(p), p.select.k), 64);
}

// What a lane has whatever its rows.
uint64_t lane_part(const IndexerTier& tier, const IndexerTopkParams& p) {
  return indexer_key_bytes(tier, p.indexer) + select_part(p) + emit_part(p) + 512;
}

uint64_t matrix_bytes(const IndexerTopkParams& p) {
  const uint64_t rows = static_cast<uint64_t>(std::max<int64_t>(p.indexer.rows.count, 1));
  const uint64_t length = static_cast<uint64_t>(row_length(p));
  if (length > kScoresBytes || rows > kScoresBytes) return kScoresBytes + 1;
  return rows * length * sizeof(float);
}

int32_t affordable_lanes(const IndexerTier& tier, const IndexerTopkParams& p, int32_t lanes) {
  const uint64_t query = tier.query_bytes(p.indexer.heads, p.indexer.dim);
  const uint64_t most = std::min(
      {kLanesBytes / lane_part(tier, p), kQueriesBytes / query, kScoresBytes / row_list_bytes(p)});
  return static_cast<int32_t>(std::clamp<uint64_t>(most, 1, static_cast<uint64_t>(lanes)));
}

int32_t block_rows(const IndexerTier& tier, const IndexerTopkParams& p, int32_t lanes) {
  const IndexerParams& i = p.indexer;
  const int64_t enough = (kEnoughPairs + i.heads - 1) / i.heads;
  const int64_t even = i.rows.count / (int64_t{kItemsPerLane} * lanes);
  const uint64_t query = tier.query_bytes(i.heads, i.dim);
  const uint64_t fit = std::min(kQueriesBytes / (query * static_cast<uint64_t>(lanes)),
                                kScoresBytes / (row_list_bytes(p) * static_cast<uint64_t>(lanes)));
  const int64_t most = std::min<int64_t>(static_cast<int64_t>(fit), kMaxQueryRows);
  return static_cast<int32_t>(std::max<int64_t>(std::min(std::max(enough, even), most), 1));
}

}  // namespace

// About 100 GFLOP/s, and 0.1 ns to select from a score.
double fused_ns(const IndexerTopkParams& p) {
  const IndexerParams& i = p.indexer;
  const double scores =
      static_cast<double>(i.rows.count) * static_cast<double>(i.rows.max_length());
  return scores * (0.02 * i.heads * i.dim + 0.1);
}

FusedBudget::FusedBudget(const IndexerTier& tier, const IndexerTopkParams& p, int32_t most_lanes)
    : shape(tier, p.indexer, block_rows(tier, p, affordable_lanes(tier, p, most_lanes))),
      lanes(affordable_lanes(tier, p, most_lanes)),
      row_blocks((p.indexer.rows.count + shape.query_rows - 1) / shape.query_rows),
      ranges(1),
      range_keys(std::max<int64_t>(p.indexer.rows.key_limit, 1)),
      list(row_list_bytes(p)),
      scratch(round_up(shape.walk_bytes(), 256)),
      emit(scratch + select_part(p)),
      lane(round_up(emit + emit_part(p), 256)),
      keeps_scores(matrix_bytes(p) <= kFewScoresBytes) {
  if (lanes == 1 || row_blocks == 0 || row_blocks >= int64_t{kBlocksPerLane} * lanes) return;
  if (matrix_bytes(p) > kScoresBytes) return;
  const int64_t wanted = (int64_t{kItemsPerLane} * lanes + row_blocks - 1) / row_blocks;
  const int64_t block = tier.key_block;
  const int64_t keys = std::max((range_keys + wanted - 1) / wanted, kLeastRange);
  range_keys = (keys + block - 1) / block * block;
  ranges = (p.indexer.rows.key_limit + range_keys - 1) / range_keys;
  if (ranges < 2) {
    ranges = 1;
  } else {
    keeps_scores = true;
  }
}

uint64_t fused_workspace(const IndexerTier& tier, const IndexerTopkParams& p, int32_t lanes) {
  const uint64_t n = static_cast<uint64_t>(lanes);
  const uint64_t rows = static_cast<uint64_t>(std::max<int64_t>(p.indexer.rows.count, 1));
  const uint64_t query = tier.query_bytes(p.indexer.heads, p.indexer.dim);
  const uint64_t once = lane_part(tier, p), list = row_list_bytes(p);
  const uint64_t lists = n * std::min<uint64_t>(rows, kMaxQueryRows) * list;
  return std::min(n * once, std::max(kLanesBytes, once)) +
         std::min(n * rows * query, std::max(kQueriesBytes, query)) +
         std::min(std::max(lists, matrix_bytes(p)), std::max(kScoresBytes, list)) +
         n * (kBlocksPerLane * sizeof(int64_t) + 256) + 512;
}

}  // namespace dsa::cpu
