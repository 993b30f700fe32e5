#include "cuda/device.h"

#include <cuda.h>

#include <cstdio>

namespace dsa::cuda {
namespace {

// A function of the driver, without linking it.
template <class F>
F find_driver_function(const char* name) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  const cudaError_t error =
      cudaGetDriverEntryPointByVersion(name, &function, 12000, cudaEnableDefault, &found);
  if (error != cudaSuccess || found != cudaDriverEntryPointSuccess) return nullptr;
  return reinterpret_cast<F>(function);
}

struct Contexts {
  decltype(&cuCtxGetCurrent) get = find_driver_function<decltype(get)>("cuCtxGetCurrent");
  decltype(&cuCtxSetCurrent) set = find_driver_function<decltype(set)>("cuCtxSetCurrent");
};

const Contexts& contexts() {
  static const Contexts found;
  return found;
}

}  // namespace

// The runtime's cudaGetDevice says 0 where the thread has no context: that does not tell it from
// one with device 0.
CurrentDevice::CurrentDevice(int32_t id) {
  const Contexts& driver = contexts();
  CUcontext context = nullptr;
  if (!driver.get || !driver.set || driver.get(&context) != CUDA_SUCCESS) {
    error_ = cudaErrorInsufficientDriver;
    return;
  }
  before_ = context;
  int current = 0;
  error_ = context ? cudaGetDevice(&current) : cudaSuccess;
  if (error_ != cudaSuccess || (context && current == id)) return;
  error_ = cudaSetDevice(id);
  changed_ = error_ == cudaSuccess;
}

CurrentDevice::~CurrentDevice() {
  if (changed_) contexts().set(static_cast<CUcontext>(before_));
}

bool report(BackendError* error, const char* what, cudaError_t code) {
  if (code == cudaSuccess) return true;
  if (error->status == DSA_OK) {
    error->status = code == cudaErrorMemoryAllocation ? DSA_ERROR_NO_MEMORY : DSA_ERROR_DEVICE;
    std::snprintf(error->text, sizeof error->text, "%s: %s (%s)", what, cudaGetErrorString(code),
                  cudaGetErrorName(code));
  }
  cudaGetLastError();  // this runtime's own; the caller's is another
  return false;
}

cudaError_t lend_memory(BackendDevice& device, cudaStream_t stream, uint64_t bytes, char*& memory,
                        BackendError* error) {
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  const cudaError_t code = cudaStreamIsCapturing(stream, &capture);
  if (code != cudaSuccess) return code;
  if (capture != cudaStreamCaptureStatusNone) {
    error->status = DSA_ERROR_CAPTURE;
    std::snprintf(error->text, sizeof error->text,
                  "exec.workspace is NULL in a call that is captured and needs %llu bytes; give "
                  "one of dsa_workspace_size bytes",
                  static_cast<unsigned long long>(bytes));
    return cudaErrorStreamCaptureUnsupported;
  }
  void* address = nullptr;
  const cudaError_t allocated = cudaMallocFromPoolAsync(&address, bytes, device.pool, stream);
  memory = static_cast<char*>(address);
  return allocated;
}

}  // namespace dsa::cuda
