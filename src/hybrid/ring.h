// What the hybrid routes of a context share and keep: a ring of pinned memory, a stream for copies,
// events. Calls take turns.
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
  char* slot(int64_t chunk) const { return memory_ + uint64_t(chunk % kHybridSlots) * slot_bytes_; }
  void* stream = nullptr;           // of copies to the host
  void* scored[kHybridSlots] = {};  // the slot's chunk can be copied
  void* listed[kHybridSlots] = {};  // where its rows lie has been copied
  void* copied[kHybridSlots] = {};  // its scores have been copied
  void* cuts_taken = nullptr;       // the last call's cuts have left the ring

 private:
  void pin_near();
  void free_all() noexcept;

  CudaModule& cuda_;
  const CpuChoice& cpus_;
  uint64_t slot_bytes_;
  char* memory_ = nullptr;
  bool ready_ = false;
};

}  // namespace dsa
