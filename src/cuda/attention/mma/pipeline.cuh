// Stages of shared memory between the warp that fetches keys and the warps that use them. A stage
// is handed over by mbarriers; what completes one is a bulk copy a key on sm_90 and cp.async before
// it.
#pragma once

#include <cstdint>

#include "cuda/ptx.cuh"

namespace dsa::cuda {

// A bulk copy takes a warp about 100 cycles to issue, lane after lane, and resolving a tile 1,500:
// 4 warps keep up with memory.
#if __CUDA_ARCH__ >= 900
constexpr int32_t kProducerWarps = 4;
constexpr uint32_t kFullArrivals = 1;  // lane 0 of a tile's producer, and the bytes of its copies
#else
constexpr int32_t kProducerWarps = 1;
constexpr uint32_t kFullArrivals = 33;  // the producer's lanes behind their copies, and lane 0
#endif

// Registers of this warpgroup's threads from here on, out of what the block holds.
template <int kRegisters>
__device__ inline void take_registers() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
#endif
}
template <int kRegisters>
__device__ inline void give_registers() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
#endif
}

__device__ inline void barrier_init(uint64_t* barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals)
               : "memory");
}

// Makes initialised barriers visible to asynchronous copies.
__device__ inline void fence_barrier_init() {
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}

// Orders this thread's own writes to shared memory before later asynchronous copies to there.
__device__ inline void fence_before_copies() {
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

__device__ inline void barrier_arrive(uint64_t* barrier) {
  asm volatile("{\n.reg .b64 state;\nmbarrier.arrive.shared.b64 state, [%0];\n}" ::"r"(
                   shared_address(barrier))
               : "memory");
}

// Whether the phase of this parity has ended; may wait a while before it answers.
__device__ inline bool barrier_ended(uint64_t* barrier, uint32_t parity) {
  uint32_t done;
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "{\n.reg .pred p;\n"
      "mbarrier.try_wait.parity.shared.b64 p, [%1], %2;\n"
      "selp.b32 %0, 1, 0, p;\n}"
      : "=r"(done)
      : "r"(shared_address(barrier)), "r"(parity)
      : "memory");
#else
  asm volatile(
      "{\n.reg .pred p;\n"
      "mbarrier.test_wait.parity.shared.b64 p, [%1], %2;\n"
      "selp.b32 %0, 1, 0, p;\n}"
      : "=r"(done)
      : "r"(shared_address(barrier)), "r"(parity)
      : "memory");
#endif
  return done;
}

// Waits for the phase of this parity to end. kPauseNs: what a warp with time to spare sleeps
// between two questions, which take issue slots from the others (a quarter of all, without).
template <uint32_t kPauseNs = 0>
__device__ inline void barrier_wait(uint64_t* barrier, uint32_t parity) {
  while (!barrier_ended(barrier, parity)) {
    if constexpr (kPauseNs > 0) __nanosleep(kPauseNs);
  }
}

#if __CUDA_ARCH__ >= 900

__device__ inline void barrier_arrive_expecting(uint64_t* barrier, uint32_t bytes) {
  asm volatile(
      "{\n.reg .b64 state;\nmbarrier.arrive.expect_tx.shared.b64 state, [%0], %1;\n}" ::"r"(
          shared_address(barrier)),
      "r"(bytes)
      : "memory");
}

// `bytes` and both addresses are multiples of 16.
__device__ inline void copy_bulk(uint32_t to, const void* from, uint32_t bytes, uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(to),
      "l"(from), "r"(bytes), "r"(shared_address(barrier))
      : "memory");
}

#else

// Arrives when all earlier cp.async of this thread have come in.
__device__ inline void barrier_arrive_after_copies(uint64_t* barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared_address(barrier))
               : "memory");
}

#endif

// A barrier of the first `threads` threads of the block.
__device__ inline void sync_consumers(uint32_t threads) {
  asm volatile("bar.sync 1, %0;" ::"r"(threads) : "memory");
}

}  // namespace dsa::cuda
