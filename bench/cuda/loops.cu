#include "cuda/loops.h"

namespace bench::cuda {
namespace {

constexpr int kReadThreads = 512, kReadBlocks = 4;  // of a multiprocessor
constexpr int kReadAtOnce = 8;                      // 16-byte loads in flight of a thread
constexpr int kCopyAtOnce = 4;
constexpr int kMmaThreads = 256, kMmaBlocks = 2, kMmaAtOnce = 8;

__global__ void __launch_bounds__(kReadThreads) read(const uint4* from, int64_t n, uint32_t* sink) {
  const int64_t step = int64_t(gridDim.x) * kReadThreads;
  uint32_t sum = 0;
  int64_t i = int64_t(blockIdx.x) * kReadThreads + threadIdx.x;
  for (; i + (kReadAtOnce - 1) * step < n; i += kReadAtOnce * step) {
    uint4 x[kReadAtOnce];
#pragma unroll
    for (int j = 0; j < kReadAtOnce; ++j) x[j] = __ldg(from + i + j * step);
#pragma unroll
    for (int j = 0; j < kReadAtOnce; ++j) sum += x[j].x ^ x[j].y ^ x[j].z ^ x[j].w;
  }
  for (; i < n; i += step) {
    const uint4 x = __ldg(from + i);
    sum += x.x ^ x.y ^ x.z ^ x.w;
  }
  if (sum == 0x9e3779b9u) *sink = sum;  // never known before it runs
}

__global__ void __launch_bounds__(kReadThreads) copy(uint4* to, const uint4* from, int64_t n) {
  const int64_t step = int64_t(gridDim.x) * kReadThreads;
  int64_t i = int64_t(blockIdx.x) * kReadThreads + threadIdx.x;
  for (; i + (kCopyAtOnce - 1) * step < n; i += kCopyAtOnce * step) {
    uint4 x[kCopyAtOnce];
#pragma unroll
    for (int j = 0; j < kCopyAtOnce; ++j) x[j] = __ldcs(from + i + j * step);
#pragma unroll
    for (int j = 0; j < kCopyAtOnce; ++j) __stcs(to + i + j * step, x[j]);
  }
  for (; i < n; i += step) to[i] = from[i];
}

__global__ void empty() {}

constexpr int64_t kMostOccupiedNs = 10'000'000'000;

__device__ int64_t global_ns() {
  int64_t ns;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(ns));
  return ns;
}

__global__ void occupy(const volatile int32_t* release) {
  const int64_t end = global_ns() + kMostOccupiedNs;
  // Seldom: the flag is on the other side of a link that others use.
  while (*release == 0 && global_ns() < end) __nanosleep(500000);
}

// Operands of changing sign in every lane: zeros would draw less power than real work.
__global__ void __launch_bounds__(kMmaThreads) mma_bf16(int64_t rounds, float* sink) {
  float sums[kMmaAtOnce][4] = {};
  const uint32_t seed = (threadIdx.x + blockIdx.x * kMmaThreads) * 2654435761u;
  uint32_t a[4], b[2];
  for (int i = 0; i < 4; ++i) a[i] = 0x3f803f80u ^ ((seed << i) & 0x807f807fu);
  for (int i = 0; i < 2; ++i) b[i] = 0x3f803f80u ^ ((seed >> (i + 3)) & 0x807f807fu);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma unroll
    for (int j = 0; j < kMmaAtOnce; ++j) {
      asm volatile(
          "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
          "{%8,%9}, {%0,%1,%2,%3};"
          : "+f"(sums[j][0]), "+f"(sums[j][1]), "+f"(sums[j][2]), "+f"(sums[j][3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
  }
  float sum = 0;
  for (int j = 0; j < kMmaAtOnce; ++j) sum += sums[j][0] + sums[j][1] + sums[j][2] + sums[j][3];
  if (sum == 12345.678f) *sink = sum;
}

}  // namespace

cudaError_t enqueue_read(const void* from, int64_t n, uint32_t* sink, int multiprocessors,
                         cudaStream_t stream) {
  read<<<multiprocessors * kReadBlocks, kReadThreads, 0, stream>>>(static_cast<const uint4*>(from),
                                                                   n, sink);
  return cudaGetLastError();
}

cudaError_t enqueue_copy(void* to, const void* from, int64_t n, int multiprocessors,
                         cudaStream_t stream) {
  copy<<<multiprocessors * kReadBlocks, kReadThreads, 0, stream>>>(
      static_cast<uint4*>(to), static_cast<const uint4*>(from), n);
  return cudaGetLastError();
}

cudaError_t enqueue_empty(cudaStream_t stream) {
  empty<<<1, 32, 0, stream>>>();
  return cudaGetLastError();
}

cudaError_t enqueue_occupy(int multiprocessors, const int32_t* release, cudaStream_t stream) {
  int device = 0, bytes = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  }
  if (error == cudaSuccess) {
    error = cudaFuncSetAttribute(occupy, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  }
  if (error != cudaSuccess) return error;
  // One thread: what matters is that no other block finds shared memory, or a place, beside it.
  occupy<<<multiprocessors, 1, size_t(bytes), stream>>>(release);
  return cudaGetLastError();
}

double mma_bf16_flop(int64_t rounds, int multiprocessors) {
  const double warps = double(multiprocessors) * kMmaBlocks * kMmaThreads / 32;
  return warps * double(rounds) * kMmaAtOnce * 2 * 16 * 8 * 16;
}

cudaError_t enqueue_mma_bf16(int64_t rounds, float* sink, int multiprocessors,
                             cudaStream_t stream) {
  mma_bf16<<<multiprocessors * kMmaBlocks, kMmaThreads, 0, stream>>>(rounds, sink);
  return cudaGetLastError();
}

}  // namespace bench::cuda
