// The kernels behind flushes and roofs.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace bench::cuda {

// Reads n 16-byte words on all multiprocessors; `sink` gets something that depends on all of them.
cudaError_t enqueue_read(const void* from, int64_t n, uint32_t* sink, int multiprocessors,
                         cudaStream_t stream);
cudaError_t enqueue_copy(void* to, const void* from, int64_t n, int multiprocessors,
                         cudaStream_t stream);
cudaError_t enqueue_empty(cudaStream_t stream);
// Takes so many multiprocessors, with all their shared memory, until *release (pinned memory) is
// not 0; ten seconds at most.
cudaError_t enqueue_occupy(int multiprocessors, const int32_t* release, cudaStream_t stream);

// Matrix multiply-adds of bf16 in registers (mma.sync m16n8k16) by all multiprocessors; returns the
// floating-point operations.
double mma_bf16_flop(int64_t rounds, int multiprocessors);
cudaError_t enqueue_mma_bf16(int64_t rounds, float* sink, int multiprocessors, cudaStream_t stream);

// The same by wgmma m64n256 from shared memory, of e4m3 or bf16: GPUs of compute capability 9.0
// alone.
double wgmma_flop(bool fp8, int64_t rounds, int multiprocessors);
cudaError_t enqueue_wgmma(bool fp8, int64_t rounds, float* sink, int multiprocessors,
                          cudaStream_t stream);

}  // namespace bench::cuda
