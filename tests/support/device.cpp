#include "support/device.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/element.h"

namespace support {
namespace {

// The few functions of the CUDA driver that the tests need, without a toolkit to build them.
class Driver {
 public:
  static Driver& get() {
    static Driver driver;
    return driver;
  }

  template <class... Args>
  void call(const char* name, Args... args) {
    const int code = status(name, args...);
    if (code != 0) {
      // What follows on a device that failed means nothing.
      std::fprintf(stderr, "%s failed: CUDA error %d\n", name, code);
      std::abort();
    }
  }
  template <class... Args>
  int status(const char* name, Args... args) {
    void* function = dlsym(library_, name);
    if (!function) throw std::runtime_error(std::string("no ") + name + " in libcuda.so.1");
    return reinterpret_cast<int (*)(Args...)>(function)(args...);
  }

 private:
  Driver() : library_(dlopen("libcuda.so.1", RTLD_NOW)) {
    if (!library_) throw std::runtime_error(dlerror());
    void* context = nullptr;
    call("cuInit", 0u);
    // A thread without a context: device 0.
    call("cuCtxGetCurrent", &context);
    if (context) return;
    call("cuDevicePrimaryCtxRetain", &context, 0);
    call("cuCtxSetCurrent", context);
  }
  void* library_;
};

using Address = unsigned long long;  // CUdeviceptr

bool flag(const char* name) {
  const char* value = std::getenv(name);
  return value && *value && std::strcmp(value, "0") != 0;
}

// Memory of one call: cut from one block, or an allocation each.
class DeviceMemory {
 public:
  DeviceMemory() : separate_(flag("DSA_TEST_MEMCHECK")) {}
  ~DeviceMemory() {
    for (const Address block : own_) Driver::get().call("cuMemFree_v2", block);
  }
  // As far from a multiple of 256 as `like`.
  Address take(const void* like, size_t bytes) {
    const size_t offset = reinterpret_cast<uintptr_t>(like) % 256;
    if (separate_ || bytes + 512 > kPoolBytes - used_) {
      Address block = 0;
      Driver::get().call("cuMemAlloc_v2", &block, offset + bytes);
      own_.push_back(block);
      return block + offset;
    }
    static const Address pool = [] {
      Address block = 0;
      Driver::get().call("cuMemAlloc_v2", &block, size_t(kPoolBytes));
      return block;
    }();
    const Address address = pool + used_ + offset;
    used_ = (used_ + offset + bytes + 511) / 256 * 256;
    return address;
  }

 private:
  static constexpr size_t kPoolBytes = size_t{1} << 30;
  bool separate_;
  size_t used_ = 0;
  std::vector<Address> own_;
};

// The bytes from the first to the last element.
struct Span {
  char* begin;
  size_t bytes;
};

Span span_of(const dsa_tensor& t) {
  const int64_t size = dtype_bytes(t.dtype);
  int64_t low = 0, high = size;
  for (int i = 0; i < t.ndim; ++i) {
    if (t.shape[i] == 0) return {nullptr, 0};
    const int64_t reach = (t.shape[i] - 1) * t.stride[i] * size;
    (reach < 0 ? low : high) += reach;
  }
  return {static_cast<char*>(t.data) + low, size_t(high - low)};
}

struct Copy {
  dsa_tensor* tensor;
  Span host;
  Address device;
  bool output;
};

constexpr size_t kPastWorkspace = 256;

}  // namespace

bool device_wanted() {
  const char* device = std::getenv("DSA_TEST_DEVICE");
  return device && std::strcmp(device, "cuda") == 0;
}

bool on_device(dsa_ctx* ctx) {
  if (!device_wanted()) return false;
  dsa_kernel_info info{};
  info.struct_size = sizeof info;
  for (int32_t i = 0; dsa_kernel_get(ctx, i, &info) == DSA_OK; ++i) {
    if (info.usable) return info.device == DSA_DEVICE_CUDA;
  }
  return false;
}

dsa_status run_copied(Tensors tensors, const dsa_exec* exec,
                      const std::function<uint64_t()>& bytes_needed, const DeviceCall& call) {
  Driver& driver = Driver::get();
  DeviceMemory memory;
  std::vector<Copy> copies;
  for (int i = 0; i < tensors.count; ++i) {
    dsa_tensor& t = tensors.first[i];
    if (t.ndim == 0) continue;
    t.device = DSA_DEVICE_CUDA;
    const Span host = span_of(t);
    if (host.bytes == 0 || !host.begin) continue;
    const Address device = memory.take(host.begin, host.bytes);
    driver.call("cuMemcpyHtoD_v2", device, static_cast<const void*>(host.begin), host.bytes);
    t.data = reinterpret_cast<char*>(device) + (static_cast<char*>(t.data) - host.begin);
    copies.push_back({&t, host, device, i >= tensors.count - tensors.outputs});
  }

  dsa_exec used{};
  used.struct_size = sizeof used;
  if (exec) used = *exec;
  const bool graph = flag("DSA_TEST_GRAPH");
  if (graph && !exec) used.workspace_size = bytes_needed();
  Address workspace = 0;
  if (used.workspace_size > 0) {
    const size_t bytes = used.workspace_size + kPastWorkspace;
    workspace = memory.take(nullptr, bytes);
    driver.call("cuMemsetD8_v2", workspace, static_cast<unsigned char>(0xff), bytes);
    driver.call("cuCtxSynchronize");  // the call's stream does not wait for it
    used.workspace = reinterpret_cast<void*>(workspace);
  }
  dsa_status status;
  if (graph) {
    // The memory checked below is this call's, not the graph's own.
    CapturedCall captured(0, [&](const dsa_exec* exec) {
      used.stream = exec->stream;
      return call(&used);
    });
    status = captured.status();
    if (status == DSA_OK) captured.run();
  } else {
    status = call(&used);
  }
  driver.call("cuCtxSynchronize");

  std::vector<char> back;
  for (const Copy& copy : copies) {
    back.resize(copy.host.bytes);
    driver.call("cuMemcpyDtoH_v2", static_cast<void*>(back.data()), copy.device, copy.host.bytes);
    if (copy.output && status == DSA_OK) {
      std::memcpy(copy.host.begin, back.data(), back.size());
    } else if (std::memcmp(copy.host.begin, back.data(), back.size()) != 0) {
      ADD_FAILURE() << "tensor " << copy.tensor - tensors.first << " of the call was written";
    }
  }
  if (workspace) {
    back.resize(kPastWorkspace);
    driver.call("cuMemcpyDtoH_v2", static_cast<void*>(back.data()), workspace + used.workspace_size,
                kPastWorkspace);
    for (const char byte : back) {
      if (byte != char(0xff)) {
        ADD_FAILURE() << "bytes past the workspace were written";
        break;
      }
    }
  }
  return status;
}

int device_count() {
  int count = 0;
  Driver::get().call("cuDeviceGetCount", &count);
  return count;
}

int current_device() {
  void* context = nullptr;
  Driver::get().call("cuCtxGetCurrent", &context);
  if (!context) return -1;
  int device = 0;
  Driver::get().call("cuCtxGetDevice", &device);
  return device;
}

// Primary contexts are kept for the process, as the first one is.
DeviceScope::DeviceScope(int device) {
  void* context = nullptr;
  Driver::get().call("cuDevicePrimaryCtxRetain", &context, device);
  Driver::get().call("cuCtxPushCurrent_v2", context);
}

DeviceScope::~DeviceScope() {
  void* context = nullptr;
  Driver::get().call("cuCtxPopCurrent_v2", &context);
}

DeviceBytes::DeviceBytes(size_t bytes) : bytes_(bytes) {
  Driver::get().call("cuMemAlloc_v2", &address_, bytes > 0 ? bytes : size_t{1});
}

DeviceBytes::~DeviceBytes() { Driver::get().call("cuMemFree_v2", address_); }

void DeviceBytes::fill(unsigned char byte) {
  Driver::get().call("cuMemsetD8_v2", address_, byte, bytes_);
  // It may return before it is done, and streams that do not wait for the default one use this.
  Driver::get().call("cuCtxSynchronize");
}

void DeviceBytes::upload(const void* from, size_t bytes, size_t offset) {
  Driver::get().call("cuMemcpyHtoD_v2", address_ + offset, from, bytes);
}

void DeviceBytes::download(void* to, size_t bytes, size_t offset) const {
  Driver::get().call("cuMemcpyDtoH_v2", to, address_ + offset, bytes);
}

DeviceStream::DeviceStream() { Driver::get().call("cuStreamCreate", &stream_, 1u); }

DeviceStream::~DeviceStream() { Driver::get().call("cuStreamDestroy_v2", stream_); }

void DeviceStream::wait() { Driver::get().call("cuStreamSynchronize", stream_); }

CapturedCall::CapturedCall(uint64_t workspace_bytes, const DeviceCall& call)
    : workspace_(workspace_bytes) {
  Driver& driver = Driver::get();
  workspace_.fill(0xff);
  driver.call("cuStreamBeginCapture_v2", stream_.get(), 0 /* global: any forbidden call ends it */);
  dsa_exec exec{};
  exec.struct_size = sizeof exec;
  exec.stream = stream_.get();
  if (workspace_bytes > 0) {
    exec.workspace = workspace_.data();
    exec.workspace_size = workspace_bytes;
  }
  status_ = call(&exec);
  driver.call("cuStreamEndCapture", stream_.get(), &graph_);
  if (status_ == DSA_OK) {
    driver.call("cuGraphInstantiateWithFlags", &runnable_, graph_, 0ull);
  }
}

CapturedCall::~CapturedCall() {
  Driver& driver = Driver::get();
  if (runnable_) driver.call("cuGraphExecDestroy", runnable_);
  if (graph_) driver.call("cuGraphDestroy", graph_);
}

void CapturedCall::run() {
  Driver::get().call("cuGraphLaunch", runnable_, stream_.get());
  stream_.wait();
}

}  // namespace support
