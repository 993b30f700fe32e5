#include "cuda/capability.h"

namespace dsa::cuda {
namespace {

__global__ void probe() {}

}  // namespace

cudaError_t code_capability(int32_t& capability) {
  cudaFuncAttributes attributes;
  const cudaError_t error = cudaFuncGetAttributes(&attributes, probe);
  // Not binaryVersion: PTX of an earlier architecture that the driver has compiled is what it was.
  if (error == cudaSuccess) capability = attributes.ptxVersion;
  return error;
}

}  // namespace dsa::cuda
