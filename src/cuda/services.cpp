#include "cuda/services.h"

#include "cuda/device.h"

namespace dsa::cuda {
namespace {

bool lend(BackendDevice* device, void* stream, uint64_t bytes, char** memory, BackendError* error) {
  const CurrentDevice current(device->id);
  cudaError_t code = current.error();
  if (code == cudaSuccess) {
    code = lend_memory(*device, static_cast<cudaStream_t>(stream), bytes, *memory, error);
  }
  return report(error, "workspace", code);
}

bool give_back(BackendDevice* device, void* stream, char* memory, BackendError* error) {
  const CurrentDevice current(device->id);
  return report(error, "workspace", cudaFreeAsync(memory, static_cast<cudaStream_t>(stream)));
}

bool is_capturing(BackendDevice* device, void* stream, bool* answer, BackendError* error) {
  const CurrentDevice current(device->id);
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const cudaError_t code = cudaStreamIsCapturing(static_cast<cudaStream_t>(stream), &status);
  *answer = status != cudaStreamCaptureStatusNone;
  return report(error, "exec.stream", code);
}

}  // namespace

constinit const BackendServices kServices = {lend, give_back, is_capturing};

}  // namespace dsa::cuda
