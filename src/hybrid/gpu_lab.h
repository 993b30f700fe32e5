// The GPU's side of dsa_tune: device memory, a stream, copies to pinned memory.
#pragma once

#include "hybrid/lab.h"
#include "hybrid/tune.h"

namespace dsa {

class GpuLab final : public Lab {
 public:
  explicit GpuLab(dsa_ctx& ctx);
  ~GpuLab() override;
  void clear() override;

  // Copies to and from pinned and ordinary memory.
  void measure_link(HybridRates& rates);

 protected:
  void* keep(const void* from, uint64_t bytes) override;
  dsa_tensor placed(dsa_tensor tensor) const override;
  void* stream() const override { return stream_; }
  void wait() override;

 private:
  char* lend(uint64_t bytes);
  void copy(void* to, const void* from, uint64_t bytes);
  double copy_seconds(void* to, const void* from, uint64_t bytes);

  CudaModule& cuda_;
  void* stream_ = nullptr;
  std::vector<char*> kept_;
};

}  // namespace dsa
