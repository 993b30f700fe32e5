// How a hybrid call is cut into chunks of rows, and where their parts lie in device memory and in a
// slot of the pinned ring.
#pragma once

#include <vector>

#include "core/services.h"
#include "hybrid/two_steps.h"

namespace dsa {

// Chunks on their way at once: one is scored, one copied, one selected, one attended to.
inline constexpr int32_t kHybridSlots = 4;

struct Chunk {
  int64_t first = 0;
  int64_t rows = 0;
  int64_t longest = 0;  // keys that a row of it can see

  int64_t end() const { return first + rows; }
  // Scores that a row has room for.
  int64_t row_room() const { return (longest + kShippedUnit - 1) / kShippedUnit * kShippedUnit; }
  int64_t room() const { return rows * row_room(); }
};

// In order, of all rows: whole requests or parts of one. Chunks have about the same number of
// visible scores, but for the first, which the CPU waits for, and the last, which wait for the CPU:
// those are smaller.
class Chunks {
 public:
  // `slot_bytes`: of the pinned ring. None: one row does not fit.
  Chunks(const ForwardCall& call, uint64_t slot_bytes);

  int64_t count() const { return static_cast<int64_t>(all_.size()); }
  const Chunk& operator[](int64_t chunk) const { return all_[static_cast<size_t>(chunk)]; }

 private:
  std::vector<Chunk> all_;
};

// About how many chunks a call of so many visible scores has: what can be said without looking at
// its rows.
double expected_chunks(const ForwardCall& call, double visible);

// Whether a chunk of one row fits.
bool has_room_for_row(const ForwardCall& call, uint64_t slot_bytes);

// A slot of the ring: what a chunk has in pinned memory. Cuts lie where they lie in every chunk:
// the GPU may still have to read those of the chunk before when the host lists the rows of this
// one.
struct PinnedSlot {
  float* scores;
  ShippedRow* shipped;  // [rows]
  Cut* cuts;            // [rows]

  PinnedSlot(const Chunk& chunk, char* memory, uint64_t slot_bytes);
};

// Device memory of a call, beside what its kernels need: bytes that hold for every smaller call too
// (dsa_workspace_size never shrinks), and the parts of it.
struct HybridMemory {
  HybridMemory(const ForwardCall& call, bool filtered);

  // Shipment of a chunk, in memory of at least `bytes` at `base`, without its pinned memory.
  Shipment shipment(const Chunk& chunk, int32_t slot, char* base) const;
  char* passed(char* base) const { return base + passed_at_; }

  uint64_t bytes;

 private:
  bool filtered_;
  uint64_t scores_bytes_;  // of a chunk, raw or packed
  uint64_t rows_bytes_;    // of where its rows lie
  uint64_t scores_at_, keys_at_, shipped_at_, passed_at_;
};

}  // namespace dsa
