// The roof of Hopper's warpgroup products: operands stay in shared memory, sums in registers.
#include <algorithm>

#include "cuda/loops.h"
#include "cuda/sm90/wgmma.cuh"

namespace bench::cuda {
namespace {

namespace sm90 = dsa::cuda::sm90;

constexpr int kGroups = 2;  // warpgroups a multiprocessor: one's issue hides the other's
constexpr int kThreads = 128 * kGroups;
constexpr int kColumns = 256;
constexpr int kOfPanel = sm90::kPanelRowBytes / sm90::kMmaBytes;  // instructions a round
constexpr int kPanelsBytes = (64 * kGroups + kColumns) * sm90::kPanelRowBytes;
constexpr int kSharedBytes = kPanelsBytes + 1024;  // panels are aligned to 1024

template <class Type>
__global__ void __launch_bounds__(kThreads) multiply(int64_t rounds, float* sink) {
  extern __shared__ char shared[];
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  const uint32_t base = (address + 1023) & ~1023u;
  // Values near 1 of both signs: zeros would draw less power than real work.
  for (int i = threadIdx.x; i < kPanelsBytes / 4; i += kThreads) {
    const uint32_t bits = static_cast<uint32_t>(i) * 2654435761u;
    const uint32_t one = Type::kBytes == 1 ? 0x38383838u : 0x3f803f80u;
    const uint32_t free = Type::kBytes == 1 ? 0x87878787u : 0x807f807fu;
    asm volatile("st.shared.b32 [%0], %1;" ::"r"(base + 4 * i), "r"(one ^ (bits & free)));
  }
  dsa::cuda::fence_async_proxy();
  __syncthreads();
  const uint32_t group = threadIdx.x / 128;
  const uint64_t a = sm90::operand_at(base + (kColumns + 64 * group) * sm90::kPanelRowBytes);
  const uint64_t b = sm90::operand_at(base);
  float sums[kColumns / 2] = {};
  for (int64_t round = 0; round < rounds; ++round) {
    sm90::wgmma_fence();
#pragma unroll
    for (int i = 0; i < kOfPanel; ++i) {
      const uint32_t step = static_cast<uint32_t>(i) * (sm90::kMmaBytes >> 4);
      Type::mma(sums, a + step, b + step, 1);
    }
    sm90::wgmma_commit();
    sm90::wgmma_wait<0>();
  }
  float sum = 0;
  for (int i = 0; i < kColumns / 2; ++i) sum += sums[i];
  if (sum == 12345.678f) *sink = sum;
}

template <class Type>
cudaError_t enqueue(int64_t rounds, float* sink, int multiprocessors, cudaStream_t stream) {
  const cudaError_t error = cudaFuncSetAttribute(
      multiply<Type>, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes);
  if (error != cudaSuccess) return error;
  multiply<Type><<<multiprocessors, kThreads, kSharedBytes, stream>>>(rounds, sink);
  return cudaGetLastError();
}

}  // namespace

double wgmma_flop(bool fp8, int64_t rounds, int multiprocessors) {
  const int depth = sm90::kPanelRowBytes / (fp8 ? 1 : 2);
  return 2.0 * 64 * kGroups * kColumns * depth * double(rounds) * multiprocessors;
}

cudaError_t enqueue_wgmma(bool fp8, int64_t rounds, float* sink, int multiprocessors,
                          cudaStream_t stream) {
  return fp8 ? enqueue<sm90::E4m3>(rounds, sink, multiprocessors, stream)
             : enqueue<sm90::Bf16>(rounds, sink, multiprocessors, stream);
}

}  // namespace bench::cuda
