// Device memory of one call, from the context's pool, in stream order.
#pragma once

#include "core/cuda_module.h"

namespace dsa {

class StreamMemory {
 public:
  // Nothing for 0 bytes. DSA_ERROR_CAPTURE while the stream is captured.
  StreamMemory(CudaModule& cuda, void* stream, uint64_t bytes)
      : cuda_(cuda), stream_(stream), data_(bytes ? cuda.lend(stream, bytes) : nullptr) {}
  ~StreamMemory() {
    if (data_) cuda_.give_back(stream_, data_);
  }
  StreamMemory(const StreamMemory&) = delete;
  StreamMemory& operator=(const StreamMemory&) = delete;
  char* data() const { return data_; }

 private:
  CudaModule& cuda_;
  void* stream_;
  char* data_;
};

}  // namespace dsa
