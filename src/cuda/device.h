// A device as the module holds it, and what every function of the module does around the CUDA
// runtime's answers.
#pragma once

#include <cuda_runtime.h>

#include "core/backend.h"

namespace dsa {

struct BackendDevice {
  int32_t id = 0;
  DeviceInfo info;
  cudaMemPool_t pool = nullptr;
};

namespace cuda {

// Makes a device the calling thread's, and puts back what was: its context, which may be of the
// caller's own making, or none (then no context of device 0 comes into being either).
class CurrentDevice {
 public:
  explicit CurrentDevice(int32_t id);
  ~CurrentDevice();
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;
  cudaError_t error() const { return error_; }

 private:
  void* before_ = nullptr;  // CUcontext
  bool changed_ = false;
  cudaError_t error_;
};

// Whether the code is success; else fills `error`, unless it has a text already.
bool report(BackendError* error, const char* what, cudaError_t code);

// Memory of one call from the device's pool, in stream order; in a capture an error with its text.
cudaError_t lend_memory(BackendDevice& device, cudaStream_t stream, uint64_t bytes, char*& memory,
                        BackendError* error);

}  // namespace cuda
}  // namespace dsa
