// Calls on a GPU for tests whose tensors lie in host memory: everything is copied there, run, and
// copied back, so that the oracle and the checks of the host judge both alike.
//
// DSA_TEST_DEVICE=cuda makes contexts with the GPU (kernels.h). DSA_TEST_GRAPH=1 runs every call as
// a captured graph; DSA_TEST_MEMCHECK=1 gives every tensor an allocation of its own that ends where
// it ends, for compute-sanitizer.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "dsa.h"

namespace support {

// Whether the tests were told to use a GPU.
bool device_wanted();

// Whether the kernels that a context may use are a GPU's (one made for a kernel of it).
bool on_device(dsa_ctx* ctx);

// The tensors of a descriptor stand at its end, outputs last.
struct Tensors {
  dsa_tensor* first;
  int count;
  int outputs;
};
inline Tensors tensors_between(dsa_tensor& first, dsa_tensor& first_output, void* end) {
  dsa_tensor* last = static_cast<dsa_tensor*>(end);
  return {&first, int(last - &first), int(last - &first_output)};
}
inline Tensors tensors_of(dsa_topk_desc& d) { return tensors_between(d.scores, d.indices, &d + 1); }
inline Tensors tensors_of(dsa_indexer_desc& d) { return tensors_between(d.q, d.scores, &d + 1); }
inline Tensors tensors_of(dsa_indexer_topk_desc& d) {
  return tensors_between(d.q, d.indices, &d + 1);
}
inline Tensors tensors_of(dsa_sparse_attn_desc& d) { return tensors_between(d.q, d.out, &d + 1); }
inline Tensors tensors_of(dsa_merge_lse_desc& d) {
  return tensors_between(d.partial_out, d.out, &d + 1);
}

// The same tensors, said to be on the GPU: for questions, which read no data.
template <class Desc>
Desc said_on_device(Desc d) {
  const Tensors all = tensors_of(d);
  for (int i = 0; i < all.count; ++i) {
    if (all.first[i].ndim != 0) all.first[i].device = DSA_DEVICE_CUDA;
  }
  return d;
}

// Copies the tensors to the GPU (their data then points there), calls, waits, and copies outputs
// back; checks that inputs and what surrounds outputs did not change, and that nothing past a given
// workspace did. `bytes_needed` is asked where a graph needs a workspace.
using DeviceCall = std::function<dsa_status(const dsa_exec* exec)>;
dsa_status run_copied(Tensors tensors, const dsa_exec* exec,
                      const std::function<uint64_t()>& bytes_needed, const DeviceCall& call);

int device_count();
// The device whose context is the calling thread's; -1 where it has none.
int current_device();

// Makes a device's primary context the calling thread's, as cudaSetDevice does, and puts back what
// was.
class DeviceScope {
 public:
  explicit DeviceScope(int device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;
};

// Memory on the current GPU that a test keeps.
class DeviceBytes {
 public:
  explicit DeviceBytes(size_t bytes);
  ~DeviceBytes();
  DeviceBytes(const DeviceBytes&) = delete;
  DeviceBytes& operator=(const DeviceBytes&) = delete;
  void* data() const { return reinterpret_cast<void*>(address_); }
  size_t bytes() const { return bytes_; }
  void fill(unsigned char byte);
  void upload(const void* from, size_t bytes, size_t offset = 0);
  void download(void* to, size_t bytes, size_t offset = 0) const;

 private:
  unsigned long long address_ = 0;
  size_t bytes_;
};

// A dense tensor on the current GPU.
template <class T>
class DeviceArray {
 public:
  DeviceArray(int32_t dtype, std::vector<int64_t> shape)
      : tensor(dsa_tensor_make(nullptr, dtype, int32_t(shape.size()), shape.data())), count_(1) {
    for (const int64_t n : shape) count_ *= size_t(n);
    bytes_ = std::make_unique<DeviceBytes>(count_ * sizeof(T));
    tensor.data = bytes_->data();
    tensor.device = DSA_DEVICE_CUDA;
    tensor.device_id = current_device();
  }
  size_t size() const { return count_; }
  void set(const std::vector<T>& values) { bytes_->upload(values.data(), count_ * sizeof(T)); }
  void fill(unsigned char byte) { bytes_->fill(byte); }
  std::vector<T> get() const {
    std::vector<T> values(count_);
    bytes_->download(values.data(), count_ * sizeof(T));
    return values;
  }

  dsa_tensor tensor;

 private:
  size_t count_;
  std::unique_ptr<DeviceBytes> bytes_;
};

// A stream of the current GPU, which waits for no other.
class DeviceStream {
 public:
  DeviceStream();
  ~DeviceStream();
  DeviceStream(const DeviceStream&) = delete;
  DeviceStream& operator=(const DeviceStream&) = delete;
  void* get() const { return stream_; }
  void wait();

 private:
  void* stream_ = nullptr;
};

// A captured call; every run() replays it and waits.
class CapturedCall {
 public:
  // `call` gets an exec whose stream is being captured and whose workspace has the bytes asked for.
  CapturedCall(uint64_t workspace_bytes, const DeviceCall& call);
  ~CapturedCall();
  CapturedCall(const CapturedCall&) = delete;
  CapturedCall& operator=(const CapturedCall&) = delete;
  dsa_status status() const { return status_; }
  void run();

 private:
  DeviceBytes workspace_;
  DeviceStream stream_;
  dsa_status status_;
  void* graph_ = nullptr;
  void* runnable_ = nullptr;
};

}  // namespace support
