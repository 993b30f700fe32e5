// How a hybrid call is cut into chunks of rows, and where their parts lie in device memory and in a
// slot of the pinned ring.
#pragma once

#include "core/services.h"
#include "hybrid/two_steps.h"

namespace dsa {

// Chunks on their way at once: one is scored, one copied, one selected, one attended to.
inline constexpr int32_t kHybridSlots = 4;

struct Chunks {
  int64_t rows = 0;  // of a chunk; the last may have fewer
  int64_t count = 0;
  int64_t raw_stride = 0;  // bytes of a row's scores before they are packed
  int64_t room = 0;        // scores of a slot

  // `slot_bytes`: of the pinned ring. No rows: one row does not fit.
  Chunks(const ForwardCall& call, uint64_t slot_bytes);

  int64_t first_row(int64_t chunk) const { return chunk * rows; }
};

// A slot of the ring: what a chunk has in pinned memory.
struct PinnedSlot {
  float* scores;
  ShippedRow* shipped;
  Cut* cuts;
  int32_t* total;

  PinnedSlot(const Chunks& chunks, char* memory);
};

// Device memory of a call, beside what its kernels need: bytes that hold for every smaller call too
// (dsa_workspace_size never shrinks), and the parts of it.
struct HybridMemory {
  HybridMemory(const ForwardCall& call, bool filtered);

  // Shipment of a chunk, in memory of at least `bytes` at `base`.
  Shipment shipment(const Chunks& chunks, int64_t chunk, char* base) const;
  ShippedRow* shipped(char* base) const {
    return reinterpret_cast<ShippedRow*>(base + shipped_at_);
  }
  int32_t* totals(char* base) const { return reinterpret_cast<int32_t*>(base + totals_at_); }
  char* passed(char* base) const { return base + passed_at_; }

  uint64_t bytes;

 private:
  int64_t all_rows_;
  bool filtered_;
  uint64_t scores_bytes_;  // of a chunk, raw or packed
  uint64_t scores_at_, keys_at_, shipped_at_, totals_at_, passed_at_;
};

}  // namespace dsa
