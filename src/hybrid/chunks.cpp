#include "hybrid/chunks.h"

#include <algorithm>

namespace dsa {
namespace {

// Bytes of a chunk's scores. Half of 2 MiB, as causal rows have it, is copied in 25 us, not long
// compared with what a chunk costs both sides; the first chunk's way and the last one's are all
// that does not overlap.
constexpr int64_t kLeastChunk = int64_t{2} << 20;
constexpr int64_t kMostChunk = int64_t{8} << 20;
constexpr int64_t kWantedChunks = 16;
constexpr int64_t kMostRows = 4096;
constexpr int64_t kUnitRows = 32;  // rows that the indexer takes at once

constexpr int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

int64_t longest_row(const ForwardCall& call) {
  return std::max<int64_t>(call.select.indexer.rows.max_length(), 1);
}

int64_t raw_stride_of(const ForwardCall& call) { return round_up(longest_row(call) * 4, 256); }

// Bytes of scores that a chunk should have, were its rows any number.
int64_t wanted_bytes(const ForwardCall& call) {
  const int64_t rows = call.select.indexer.rows.count;
  // Far below overflow: 2^40 rows of 2^31 keys would be 2^73.
  const double all = double(rows) * double(raw_stride_of(call));
  const double even = std::min(all / kWantedChunks, double(kMostChunk));
  return std::clamp(static_cast<int64_t>(even), kLeastChunk, kMostChunk);
}

// In a slot, behind the scores.
constexpr int64_t kRowBytes = sizeof(ShippedRow) + sizeof(Cut);
constexpr int64_t kSlotEnd = 64;

}  // namespace

Chunks::Chunks(const ForwardCall& call, uint64_t slot_bytes) {
  const int64_t all = call.select.indexer.rows.count;
  raw_stride = raw_stride_of(call);
  const int64_t row_room = round_up(longest_row(call), kShippedUnit);
  const int64_t fit = (static_cast<int64_t>(slot_bytes) - kSlotEnd) / (row_room * 4 + kRowBytes);
  const int64_t most =
      std::min({std::max<int64_t>(wanted_bytes(call) / raw_stride, 1), fit, kMostRows, all});
  if (most < 1) return;
  count = (all + most - 1) / most;
  rows = (all + count - 1) / count;
  if (round_up(rows, kUnitRows) <= most) rows = round_up(rows, kUnitRows);
  count = (all + rows - 1) / rows;
  room = rows * row_room;
}

PinnedSlot::PinnedSlot(const Chunks& chunks, char* memory) {
  scores = reinterpret_cast<float*>(memory);
  memory += chunks.room * 4;
  shipped = reinterpret_cast<ShippedRow*>(memory);
  memory += chunks.rows * int64_t{sizeof(ShippedRow)};
  cuts = reinterpret_cast<Cut*>(memory);
  memory += chunks.rows * int64_t{sizeof(Cut)};
  total = reinterpret_cast<int32_t*>(memory);
}

HybridMemory::HybridMemory(const ForwardCall& call, bool filtered)
    : all_rows_(call.select.indexer.rows.count), filtered_(filtered) {
  const auto round = [](uint64_t n) {
    return (n + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment;
  };
  // A chunk's scores are no more than its bytes wanted, or one row.
  const uint64_t stride = static_cast<uint64_t>(raw_stride_of(call));
  const double all = double(all_rows_) * double(stride);
  scores_bytes_ = std::max(stride, static_cast<uint64_t>(std::min(
                                       all, double(std::max<int64_t>(wanted_bytes(call), 1)))));
  scores_bytes_ = round(scores_bytes_);
  uint64_t at = scores_bytes_;  // raw
  const auto take = [&at, round](uint64_t bytes) {
    const uint64_t from = at;
    at += round(bytes);
    return from;
  };
  scores_at_ = take(kHybridSlots * scores_bytes_);
  keys_at_ = take(filtered ? kHybridSlots * scores_bytes_ : 0);
  shipped_at_ = take(uint64_t(all_rows_) * sizeof(ShippedRow));
  // At most a chunk a row.
  totals_at_ = take(uint64_t(all_rows_) * sizeof(int32_t));
  passed_at_ = take(std::min(PassedOn(call).bytes(all_rows_),
                             scores_bytes_ + 2 * kWorkspaceAlignment + uint64_t(kMostRows) * 4));
  bytes = at;
}

Shipment HybridMemory::shipment(const Chunks& chunks, int64_t chunk, char* base) const {
  const uint64_t slot = uint64_t(chunk % kHybridSlots) * scores_bytes_;
  Shipment s;
  s.first_row = chunks.first_row(chunk);
  s.rows = std::min(chunks.rows, all_rows_ - s.first_row);
  s.filtered = filtered_;
  s.raw = base;
  s.raw_stride = chunks.raw_stride;
  s.shipped = shipped(base) + s.first_row;
  s.total = totals(base) + chunk;
  s.scores = reinterpret_cast<float*>(base + scores_at_ + slot);
  if (filtered_) s.keys = reinterpret_cast<int32_t*>(base + keys_at_ + slot);
  return s;
}

}  // namespace dsa
