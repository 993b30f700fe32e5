// Programmatic dependent launch (sm_90 up; before, both do nothing).
#pragma once

#include <cuda_runtime.h>

namespace dsa::cuda {

// What follows touches memory that the stream's previous kernel may have written.
__device__ inline void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}

// The next kernel may start, up to where it waits for this one.
__device__ inline void let_next_start() {
#if __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}

}  // namespace dsa::cuda
