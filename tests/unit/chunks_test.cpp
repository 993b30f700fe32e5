// Chunks of a hybrid call: every row once and in order, within the memory there is, whole requests
// or parts of one. And turns: lanes that take rows get each of them once.
#include "hybrid/chunks.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "hybrid/row_turns.h"

namespace {

using namespace dsa;

constexpr uint64_t kSlot = uint64_t{16} << 20;

ForwardCall causal(int64_t batch, int64_t length, int32_t k = 32) {
  ForwardCall call;
  Rows& rows = call.select.indexer.rows;
  rows.count = batch * length;
  rows.batch = batch;
  rows.per_request = length;
  rows.by = VisibleBy::kCausal;
  rows.key_limit = length;
  call.select.select.k = k;
  return call;
}

int64_t scores_of(const ForwardCall& call, const Chunk& chunk) {
  int64_t sum = 0;
  for (int64_t t = chunk.first; t < chunk.end(); ++t) {
    const RowSpan span = call.select.indexer.rows.span(t);
    sum += span.end - span.begin;
  }
  return sum;
}

// What every list of chunks is.
void check(const ForwardCall& call, uint64_t slot_bytes) {
  const Chunks chunks(call, slot_bytes);
  const HybridMemory memory(call, true);
  const int64_t per_request = call.select.indexer.rows.per_request;
  std::vector<char> slot(slot_bytes);
  int64_t next = 0;
  for (int64_t c = 0; c < chunks.count(); ++c) {
    const Chunk& chunk = chunks[c];
    ASSERT_EQ(chunk.first, next);
    ASSERT_GT(chunk.rows, 0);
    next = chunk.end();
    const bool within = chunk.first / per_request == (chunk.end() - 1) / per_request;
    const bool whole = chunk.first % per_request == 0 && chunk.end() % per_request == 0;
    EXPECT_TRUE(within || whole) << chunk.first << ".." << chunk.end();
    for (int64_t t = chunk.first; t < chunk.end(); ++t) {
      const RowSpan span = call.select.indexer.rows.span(t);
      ASSERT_LE(span.end - span.begin, chunk.longest);
    }
    const PinnedSlot pinned(chunk, slot.data(), slot_bytes);
    ASSERT_GE(reinterpret_cast<char*>(pinned.shipped),
              reinterpret_cast<char*>(pinned.scores + chunk.room()));
    ASSERT_GE(reinterpret_cast<char*>(pinned.cuts),
              reinterpret_cast<char*>(pinned.shipped + chunk.rows));
    ASSERT_LE(reinterpret_cast<char*>(pinned.cuts + chunk.rows), slot.data() + slot_bytes);
    // Neither scores as they are made nor those that pass reach what lies behind them.
    for (int32_t i = 0; i < kHybridSlots; ++i) {
      const Shipment s = memory.shipment(chunk, i, nullptr);
      const auto at = [](const void* p) { return reinterpret_cast<uintptr_t>(p); };
      ASSERT_LE(at(s.raw) + uint64_t(s.rows * s.raw_stride),
                at(memory.shipment(chunk, 0, nullptr).scores));
      const uintptr_t behind = i + 1 < kHybridSlots
                                   ? at(memory.shipment(chunk, i + 1, nullptr).scores)
                                   : at(memory.shipment(chunk, 0, nullptr).keys);
      ASSERT_LE(at(s.scores) + uint64_t(chunk.room()) * 4, behind);
      ASSERT_LE(at(s.shipped + s.rows), memory.bytes);
    }
  }
  EXPECT_EQ(next, call.select.indexer.rows.count);
}

TEST(Chunks, CoverEveryRowWithinMemory) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 60; ++i) {
    const auto length = int64_t(1) << random() % 13;
    const ForwardCall call = causal(int64_t(1 + random() % 20), length + int64_t(random() % 7),
                                    int32_t(1 + random() % 3000));
    check(call, kSlot);
    check(call, 65536);
    if (HasFailure()) return;
  }
}

TEST(Chunks, AreAsLargeAsEachOtherButAtTheEnds) {
  for (const auto& [batch, length] : {std::pair<int64_t, int64_t>{64, 512}, {16, 512}, {8, 2048}}) {
    const ForwardCall call = causal(batch, length);
    const Chunks chunks(call, kSlot);
    int64_t most = 0;
    for (int64_t c = 0; c < chunks.count(); ++c) {
      most = std::max(most, scores_of(call, chunks[c]));
    }
    EXPECT_LE(scores_of(call, chunks[0]), most / 2);
    EXPECT_LE(scores_of(call, chunks[chunks.count() - 1]), most * 3 / 4);
    const double all = double(batch) * double(length) * double(length + 1) / 2;
    EXPECT_LE(double(chunks.count()), 1.6 * all / double(most) + 4) << batch << " x " << length;
    EXPECT_NEAR(expected_chunks(call, all), double(chunks.count()), double(chunks.count()) / 2);
  }
  EXPECT_EQ(Chunks(causal(1, 64), kSlot).count(), 1);
}

TEST(Chunks, NoneWhereARowDoesNotFit) {
  EXPECT_EQ(Chunks(causal(1, 2000), 4096).count(), 0);
  EXPECT_FALSE(has_room_for_row(causal(1, 2000), 4096));
  EXPECT_TRUE(has_room_for_row(causal(1, 900), 4096));
}

// Rows whose lengths only the device knows, and rows that see nothing.
TEST(Chunks, OfOtherRows) {
  ForwardCall unknown = causal(4, 3000);
  unknown.select.indexer.rows.by = VisibleBy::kRange;
  const Chunks chunks(unknown, kSlot);
  for (int64_t c = 0; c < chunks.count(); ++c) EXPECT_EQ(chunks[c].longest, 3000);
  EXPECT_EQ(chunks[chunks.count() - 1].end(), 12000);
  ForwardCall empty = causal(3, 100);
  empty.select.indexer.rows.key_limit = 0;
  check(empty, kSlot);
}

TEST(RowTurns, EachRowOnceOnManyThreads) {
  const ForwardCall call = causal(16, 512);
  const Chunks chunks(call, kSlot);
  RowTurns turns(chunks, 3);
  std::vector<std::atomic<int>> taken(size_t(call.select.indexer.rows.count));
  std::atomic<int64_t> complete{0};
  std::atomic<bool> over{false};
  constexpr int kLanes = 4;
  std::vector<std::thread> lanes;
  lanes.reserve(kLanes);
  for (int i = 0; i < kLanes; ++i) {
    lanes.emplace_back([&] {
      RowTurns::Turn turn;
      while (!over) {
        if (!turns.take(turn)) {
          std::this_thread::yield();
          continue;
        }
        EXPECT_GE(turn.begin, chunks[turn.chunk].first);
        EXPECT_LE(turn.end, chunks[turn.chunk].end());
        for (int64_t t = turn.begin; t < turn.end; ++t) ++taken[size_t(t)];
        if (!turns.finish(turn)) continue;
        turns.complete(turn.chunk);
        ++complete;
      }
    });
  }
  for (int64_t c = 0; c < chunks.count(); ++c) {
    // No more at once than there are slots.
    while (c >= kHybridSlots && !turns.is_complete(c - kHybridSlots)) std::this_thread::yield();
    turns.arrive(c);
  }
  while (complete < chunks.count()) std::this_thread::yield();
  over = true;
  for (std::thread& lane : lanes) lane.join();
  for (const auto& times : taken) ASSERT_EQ(times, 1);
  EXPECT_EQ(turns.waiting(), 0);
}

}  // namespace
