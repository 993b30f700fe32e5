#include "cuda/device.h"

#include <cstdio>

namespace dsa::cuda {

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
