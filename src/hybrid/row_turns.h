// Rows whose scores have arrived, handed out to the CPU's lanes a few at a time. A lane goes on to
// the next chunk while others still have rows of the one before.
#pragma once

#include <algorithm>
#include <atomic>

#include "hybrid/chunks.h"

namespace dsa {

class RowTurns {
 public:
  // Rows of one chunk, numbered as in the call.
  struct Turn {
    int64_t chunk = 0;
    int64_t begin = 0, end = 0;
  };

  // `rows`: of a turn.
  RowTurns(const Chunks& chunks, int64_t rows) : chunks_(chunks), rows_(rows) {}

  // In order, by one thread. At most kHybridSlots chunks have arrived and are not yet complete.
  void arrive(int64_t chunk) {
    Slot& slot = slots_[chunk % kHybridSlots];
    slot.left.store(chunks_[chunk].rows, std::memory_order_relaxed);
    slot.complete.store(false, std::memory_order_relaxed);
    ready_.store(chunks_[chunk].end(), std::memory_order_release);
  }
  // `turn`: the lane's last one, to begin with an empty one. False: no row has arrived that is not
  // taken.
  bool take(Turn& turn) {
    int64_t row = next_.load(std::memory_order_relaxed);
    do {
      if (row >= ready_.load(std::memory_order_acquire)) return false;
      while (row >= chunks_[turn.chunk].end()) ++turn.chunk;
      turn.begin = row;
      turn.end = std::min(row + rows_, chunks_[turn.chunk].end());
    } while (!next_.compare_exchange_weak(row, turn.end, std::memory_order_relaxed));
    return true;
  }
  // Whether this was the chunk's last turn; complete() is then to follow.
  bool finish(const Turn& turn) {
    const int64_t rows = turn.end - turn.begin;
    return slots_[turn.chunk % kHybridSlots].left.fetch_sub(rows, std::memory_order_acq_rel) ==
           rows;
  }
  void complete(int64_t chunk) {
    slots_[chunk % kHybridSlots].complete.store(true, std::memory_order_release);
  }
  // Of a chunk that has arrived.
  bool is_complete(int64_t chunk) const {
    return slots_[chunk % kHybridSlots].complete.load(std::memory_order_acquire);
  }
  // Rows that wait to be taken.
  int64_t waiting() const {
    return ready_.load(std::memory_order_relaxed) - next_.load(std::memory_order_relaxed);
  }

 private:
  static constexpr size_t kLine = 64;
  struct alignas(kLine) Slot {
    std::atomic<int64_t> left{0};  // rows
    std::atomic<bool> complete{false};
  };

  const Chunks& chunks_;
  const int64_t rows_;
  Slot slots_[kHybridSlots];
  alignas(kLine) std::atomic<int64_t> next_{0};
  alignas(kLine) std::atomic<int64_t> ready_{0};
};

}  // namespace dsa
