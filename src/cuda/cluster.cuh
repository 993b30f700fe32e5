// Thread block clusters: barriers among their blocks, and each other's shared memory (sm_90 on).
#pragma once

#include <cstdint>

#include "cuda/ptx.cuh"

namespace dsa::cuda {

#if __CUDA_ARCH__ >= 900

__device__ inline int32_t cluster_rank() {
  uint32_t rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return static_cast<int32_t>(rank);
}
__device__ inline int32_t cluster_ranks() {
  uint32_t ranks;
  asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(ranks));
  return static_cast<int32_t>(ranks);
}

// By all threads of all blocks. What they wrote before they arrived, into any block's shared
// memory, is there after the wait.
__device__ inline void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
__device__ inline void cluster_wait() {
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// To arrive with nothing written for others, but barriers that fence_barrier_init showed.
__device__ inline void cluster_arrive_relaxed() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}

// Address, in block `rank`, of what lies at `pointer` in this one.
__device__ inline uint32_t cluster_address(const void* pointer, int32_t rank) {
  uint32_t address;
  asm("mapa.shared::cluster.u32 %0, %1, %2;"
      : "=r"(address)
      : "r"(shared_address(pointer)), "r"(rank));
  return address;
}
__device__ inline void store_cluster(uint32_t address, uint32_t x) {
  asm volatile("st.shared::cluster.u32 [%0], %1;" ::"r"(address), "r"(x) : "memory");
}
// Stores that a barrier (barrier.cuh) of the block they go to counts by their bytes: no fence of
// the storing thread, which takes half a microsecond.
__device__ inline void store_async(uint32_t address, uint32_t x, uint32_t barrier) {
  asm volatile(
      "st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::"r"(address),
      "r"(x), "r"(barrier)
      : "memory");
}
__device__ inline void store_async(uint32_t address, uint2 x, uint32_t barrier) {
  asm volatile(
      "st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%0], {%1, %2}, [%3];" ::"r"(
          address),
      "r"(x.x), "r"(x.y), "r"(barrier)
      : "memory");
}
__device__ inline void store_async(uint32_t address, uint4 x, uint32_t barrier) {
  asm volatile(
      "st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%0], {%1, %2, %3, %4}, "
      "[%5];" ::"r"(address),
      "r"(x.x), "r"(x.y), "r"(x.z), "r"(x.w), "r"(barrier)
      : "memory");
}
// A run of this block's shared memory to another's, by the copy engine: must stay as it is until
// that has come. `bytes` and both addresses are multiples of 16.
__device__ inline void copy_bulk_cluster(uint32_t address, const void* from, uint32_t bytes,
                                         uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], %2, "
      "[%3];" ::"r"(address),
      "r"(shared_address(from)), "r"(bytes), "r"(barrier)
      : "memory");
}
// Arrives at another block's barrier, and announces bytes of this phase.
__device__ inline void cluster_arrive_expecting(uint32_t barrier, uint32_t bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.relaxed.cluster.shared::cluster.b64 _, [%0], %1;" ::"r"(barrier),
      "r"(bytes)
      : "memory");
}

__device__ inline uint32_t load_cluster(uint32_t address) {
  uint32_t x;
  asm volatile("ld.shared::cluster.u32 %0, [%1];" : "=r"(x) : "r"(address) : "memory");
  return x;
}
__device__ inline uint2 load_cluster_8(uint32_t address) {
  uint2 x;
  asm volatile("ld.shared::cluster.v2.u32 {%0, %1}, [%2];"
               : "=r"(x.x), "=r"(x.y)
               : "r"(address)
               : "memory");
  return x;
}

#endif

}  // namespace dsa::cuda
