// One hybrid call: chunks of rows are scored on the GPU, copied, selected on the CPU and attended
// to on the GPU, several at once.
#pragma once

#include "hybrid/ring.h"
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
  void ship(int64_t chunk);
  // All that have not been yet, up to this one.
  void ship_up_to(int64_t last);
  void send(int64_t chunk);
  void select(int64_t chunk);
  void attend(int64_t chunk);
  PinnedSlot slot(int64_t chunk) const { return PinnedSlot(chunks_, ring_.slot(chunk)); }
  int64_t rows_of(int64_t chunk) const;
  void copy(void* to, const void* from, int64_t bytes, void* stream);

  dsa_ctx& ctx_;
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
  Timeline timeline_;
  int64_t next_ = 0;  // the chunk to be shipped next
  int64_t shipped_bytes_ = 0;
};

}  // namespace dsa
