// What the hybrid routes of a context share and keep: a ring of pinned memory, streams of their
// own, events. Calls take turns.
#pragma once

#include <mutex>

#include "core/cuda_module.h"
#include "core/topology.h"
#include "hybrid/chunks.h"
#include "hybrid/timeline.h"

namespace dsa {

class HybridRing {
 public:
  // `pinned_bytes`: most bytes of pinned memory, 0: 256 MiB.
  HybridRing(CudaModule& cuda, const CpuChoice& cpus, uint64_t pinned_bytes);
  ~HybridRing();
  HybridRing(const HybridRing&) = delete;
  HybridRing& operator=(const HybridRing&) = delete;

  uint64_t slot_bytes() const { return slot_bytes_; }

  // Makes what is not there yet; with a turn, or before there are calls.
  void make_ready();

  std::mutex turn;
  StageSums* sums = nullptr;  // with a turn: where dsa_tune wants the stages of calls
  // With a turn, when ready.
  char* slot(int32_t slot) const { return memory_ + uint64_t(slot) * slot_bytes_; }
  void* scores_stream = nullptr;     // scores, beside the attention on the caller's stream
  void* copies_stream = nullptr;     // copies to the host
  void* given = nullptr;             // what the call reads is there
  void* scored[kHybridSlots] = {};   // the slot's chunk can be copied
  void* arrived[kHybridSlots] = {};  // its scores are in the ring
  void* taken[kHybridSlots] = {};    // its cuts have left the ring, and its scores been read
  TimedEvents timed_events;

 private:
  void pin_near();
  void free_all() noexcept;
  // f(event) for each of them.
  template <class F>
  void each_event(F&& f) {
    f(given);
    for (int32_t i = 0; i < kHybridSlots; ++i) {
      f(scored[i]);
      f(arrived[i]);
      f(taken[i]);
    }
  }

  CudaModule& cuda_;
  const CpuChoice& cpus_;
  uint64_t slot_bytes_;
  char* memory_ = nullptr;
  bool ready_ = false;
};

}  // namespace dsa
