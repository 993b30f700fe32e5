// Device memory of one call, from the context's pool, in stream order.
#pragma once

#include "core/cuda_module.h"

namespace dsa {

class StreamMemory {
 public:
  // Nothing for 0 bytes. DSA_ERROR_CAPTURE while the stream is captured.
  StreamMemory(CudaModule& cuda, void* stream, uint64_t bytes) : cuda_(cuda), stream_(stream) {
    if (bytes > 0) cuda.ask(&BackendServices::lend, stream, bytes, &data_);
  }
  ~StreamMemory() {
    BackendError error;
    if (data_) cuda_.tell(&BackendServices::give_back, stream_, data_, &error);
  }
  StreamMemory(const StreamMemory&) = delete;
  StreamMemory& operator=(const StreamMemory&) = delete;
  char* data() const { return data_; }

 private:
  CudaModule& cuda_;
  void* stream_;
  char* data_ = nullptr;
};

}  // namespace dsa
