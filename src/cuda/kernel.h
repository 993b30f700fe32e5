// Kernels of the CUDA module: typed functions wrapped for the registry, and launches.
//
// A kernel's launch chooses grid and variant from host-visible extents alone, so that a captured
// graph can be replayed with other lengths; it enqueues on run.stream and returns the first error.
#pragma once

#include <cuda_runtime.h>

#include "core/kernel.h"
#include "core/params.h"

namespace dsa::cuda {

// make_kernel<TopkParams, refuse, workspace, launch, load>(name, family, min, max capability).
template <class P, const char* (*Refuse)(const P&), uint64_t (*Workspace)(const P&, int32_t),
          cudaError_t (*Launch)(const P&, const Run&), cudaError_t (*Load)()>
constexpr Kernel make_kernel(const char* name, const char* family, int32_t min_capability,
                             int32_t max_capability = 0) {
  return {name,
          family,
          P::kOperation,
          DSA_DEVICE_CUDA,
          CpuTier::kScalar,
          min_capability,
          max_capability,
          [](const void* p) { return Refuse(*static_cast<const P*>(p)); },
          [](const void* p, int32_t lanes) { return Workspace(*static_cast<const P*>(p), lanes); },
          [](const void* p, const Run& run) {
            return static_cast<int32_t>(Launch(*static_cast<const P*>(p), run));
          },
          [] { return static_cast<int32_t>(Load()); }};
}

// Makes a __global__ function resident on the current device and allows it this much dynamic
// shared memory. What load() of a kernel calls for each of its functions.
template <class F>
cudaError_t load_function(F* function, int32_t shared_bytes = 0) {
  cudaFuncAttributes attributes;
  const cudaError_t error = cudaFuncGetAttributes(&attributes, function);
  if (error != cudaSuccess || shared_bytes <= 48 * 1024) return error;
  return cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
}

// load_function for several that take the same shared memory.
template <class... F>
cudaError_t load_functions(int32_t shared_bytes, F*... functions) {
  cudaError_t error = cudaSuccess;
  ((error = error == cudaSuccess ? load_function(functions, shared_bytes) : error), ...);
  return error;
}

struct LaunchShape {
  dim3 grid, block;
  int32_t shared_bytes = 0;
  int32_t cluster = 1;  // blocks of a cluster, along x
  // Programmatic dependent launch: the kernel may start while its predecessor in the stream still
  // runs, and must call cudaGridDependencySynchronize() before it touches memory.
  bool overlap_previous = false;
};

// cudaLaunchKernelEx with our shape; the launch's own error, never the thread's last one.
template <class... Params, class... Args>
cudaError_t launch_function(void (*function)(Params...), const LaunchShape& shape,
                            cudaStream_t stream, Args&&... args) {
  cudaLaunchConfig_t config = {};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = static_cast<size_t>(shape.shared_bytes);
  config.stream = stream;
  cudaLaunchAttribute attributes[2];
  config.attrs = attributes;
  if (shape.cluster > 1) {
    cudaLaunchAttribute& cluster = attributes[config.numAttrs++];
    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim = {static_cast<unsigned>(shape.cluster), 1, 1};
  }
  if (shape.overlap_previous) {
    cudaLaunchAttribute& overlap = attributes[config.numAttrs++];
    overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    overlap.val.programmaticStreamSerializationAllowed = 1;
  }
  return cudaLaunchKernelEx(&config, function, Params(std::forward<Args>(args))...);
}

inline cudaStream_t stream_of(const Run& run) { return static_cast<cudaStream_t>(run.stream); }

}  // namespace dsa::cuda
