// Thread block clusters (sm_90 up): rank, barrier, another block's shared memory. Elsewhere a
// cluster is one block.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace dsa::cuda {

inline constexpr int32_t kLargestCluster = 8;  // that every device takes

__device__ inline int32_t cluster_rank() {
  uint32_t rank = 0;
#if __CUDA_ARCH__ >= 900
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
#endif
  return static_cast<int32_t>(rank);
}

__device__ inline int32_t cluster_size() {
  uint32_t size = 1;
#if __CUDA_ARCH__ >= 900
  asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
#endif
  return static_cast<int32_t>(size);
}

// Shared memory written before the arrival is seen by all blocks after the wait.
__device__ inline void cluster_arrive() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#endif
}
__device__ inline void cluster_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

// A word of block `rank`'s shared memory; `here` is its address in this block.
__device__ inline uint32_t load_remote(const void* here, int32_t rank) {
  uint32_t value = 0;
#if __CUDA_ARCH__ >= 900
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(here));
  asm volatile(
      "{ .reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %1, %2;\n"
      "ld.shared::cluster.u32 %0, [remote]; }"
      : "=r"(value)
      : "r"(address), "r"(rank)
      : "memory");
#endif
  return value;
}

// Two neighbouring words, 8-byte aligned.
__device__ inline uint2 load_remote_pair(const void* here, int32_t rank) {
  uint2 value = {0, 0};
#if __CUDA_ARCH__ >= 900
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(here));
  asm volatile(
      "{ .reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %2, %3;\n"
      "ld.shared::cluster.v2.u32 {%0, %1}, [remote]; }"
      : "=r"(value.x), "=r"(value.y)
      : "r"(address), "r"(rank)
      : "memory");
#endif
  return value;
}

// What follows touches memory that the stream's previous kernel may have written; the next kernel
// may start as well, up to the same point. Where the launch overlaps nothing both do nothing.
__device__ inline void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}
__device__ inline void let_next_start() {
#if __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}

}  // namespace dsa::cuda
