// Stages of shared memory between the warp that fetches keys and the warps that use them. A stage
// is handed over by mbarriers; what completes one is a bulk copy a key on sm_90 and cp.async before
// it.
#pragma once

#include <cstdint>

#include "cuda/barrier.cuh"

namespace dsa::cuda {

// A bulk copy takes a warp about 100 cycles to issue, lane after lane, and resolving a tile 1,500:
// 4 warps keep up with memory.
#if __CUDA_ARCH__ >= 900
constexpr int32_t kProducerWarps = 4;
constexpr uint32_t kFullArrivals = 33;  // the producer's lanes, and lane 0 with the bytes
#else
constexpr int32_t kProducerWarps = 1;
constexpr uint32_t kFullArrivals = 33;  // the producer's lanes behind their copies, and lane 0
#endif

// A barrier of the first `threads` threads of the block.
__device__ inline void sync_consumers(uint32_t threads) {
  asm volatile("bar.sync 1, %0;" ::"r"(threads) : "memory");
}

}  // namespace dsa::cuda
