// One hybrid call: chunks of rows are scored on the GPU, copied, selected on the CPU and attended
// to on the GPU, several at once.
#pragma once

#include <atomic>
#include <exception>

#include "hybrid/cpu_cuts.h"
#include "hybrid/ring.h"
#include "hybrid/row_turns.h"
#include "hybrid/timeline.h"

namespace dsa {

class Pipeline {
 public:
  // With the ring's turn. `memory`: HybridMemory::bytes on the device, then `scratch` bytes for the
  // kernels.
  Pipeline(dsa_ctx& ctx, const ForwardCall& call, const Run& run, bool filtered, char* memory,
           char* scratch);
  void run();

 private:
  // Every lane finds cuts. The first one drives between rows: it starts what can be started. While
  // it does not, a lane without rows stands in, so that lanes may also run one after the other, in
  // any order.
  void run_lane(int32_t lane);
  bool find_some_cuts(int32_t lane, RowTurns::Turn& turn);
  // Whether anything was started; false where another lane is at it.
  bool drive() noexcept;
  bool advance();
  bool has_arrived(int64_t chunk);
  void arrive();

  void ship(int64_t chunk);
  void attend(int64_t chunk);
  static int32_t slot_of(int64_t chunk) { return static_cast<int32_t>(chunk % kHybridSlots); }
  PinnedSlot pinned(int64_t chunk) const {
    return PinnedSlot(chunks_[chunk], ring_.slot(slot_of(chunk)), ring_.slot_bytes());
  }
  Shipment shipment(int64_t chunk) const;

  CudaModule& cuda_;
  HybridRing& ring_;
  const ForwardCall& call_;
  const Run run_;
  const bool filtered_;
  // The host knows where rows lie without asking the device.
  const bool known_;
  const TwoSteps steps_;
  const Chunks chunks_;
  const HybridMemory layout_;
  char* const memory_;
  char* const scratch_;
  const CutFinder cuts_;
  RowTurns turns_;
  Timeline timeline_;
  int64_t shipped_bytes_ = 0;

  // Chunks so far, the driving lane's.
  int64_t shipped_ = 0, arrived_ = 0, attended_ = 0;
  double arrived_ms_[kHybridSlots] = {};
  double selected_ms_[kHybridSlots] = {};  // by the lane that had the last rows

  std::atomic<bool> driven_{false};  // a lane is at it
  std::atomic<bool> over_{false};
  std::exception_ptr thrown_;
};

}  // namespace dsa
