// What the module was compiled for, as far as it matters on the device at hand.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace dsa::cuda {

// The compute capability (90 for 9.0) that the code was compiled for which runs on the current
// device: that of the device or less. cudaErrorNoKernelImageForDevice where none does.
cudaError_t code_capability(int32_t& capability);

}  // namespace dsa::cuda
