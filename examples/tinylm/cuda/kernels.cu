#include <cuda_bf16.h>

#include <algorithm>

#include "cuda/kernels.h"

namespace tinylm::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int64_t kMostBlocks = 4096;  // the rest by loops

// The sum over the block's threads, the same in each.
__device__ double block_sum(double x) {
  __shared__ double sums[kThreads];
  __syncthreads();
  sums[threadIdx.x] = x;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    __syncthreads();
  }
  return sums[0];
}

// A block a row.
__global__ void rms_norm_rows(int64_t rows, int64_t n, const float *x, int64_t x_stride,
                              const float *gain, double eps, float *y, int64_t y_stride) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const float *from = x + row * x_stride;
    double squares = 0;
    for (int64_t i = threadIdx.x; i < n; i += kThreads) squares += double(from[i]) * from[i];
    const float inverse = static_cast<float>(1 / sqrt(block_sum(squares) / double(n) + eps));
    for (int64_t i = threadIdx.x; i < n; i += kThreads) {
      y[row * y_stride + i] = from[i] * inverse * gain[i];
    }
  }
}

__global__ void layer_norm_rows(int64_t rows, int64_t n, float *x, const float *gain,
                                const float *bias, double eps) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    float *own = x + row * n;
    double sum = 0, squares = 0;
    for (int64_t i = threadIdx.x; i < n; i += kThreads) sum += own[i];
    const double mean = block_sum(sum) / double(n);
    for (int64_t i = threadIdx.x; i < n; i += kThreads) {
      squares += (own[i] - mean) * (own[i] - mean);
    }
    const double inverse = 1 / sqrt(block_sum(squares) / double(n) + eps);
    for (int64_t i = threadIdx.x; i < n; i += kThreads) {
      own[i] = static_cast<float>((own[i] - mean) * inverse) * gain[i] + bias[i];
    }
  }
}

// f(i) for every i < n.
template <class F>
__global__ void each(int64_t n, F f) {
  const int64_t step = int64_t(gridDim.x) * kThreads;
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < n; i += step) f(i);
}

template <class F>
cudaError_t launch_each(int64_t n, cudaStream_t stream, F f) {
  if (n == 0) return cudaSuccess;
  const int64_t blocks = std::min((n + kThreads - 1) / kThreads, kMostBlocks);
  each<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(n, f);
  return cudaGetLastError();
}

unsigned blocks_of_rows(int64_t rows) {
  return static_cast<unsigned>(std::clamp<int64_t>(rows, 1, kMostBlocks));
}

}  // namespace

cudaError_t rms_norm(int64_t rows, int64_t n, const float *x, int64_t x_stride, const float *gain,
                     double eps, float *y, int64_t y_stride, cudaStream_t stream) {
  rms_norm_rows<<<blocks_of_rows(rows), kThreads, 0, stream>>>(rows, n, x, x_stride, gain, eps, y,
                                                               y_stride);
  return cudaGetLastError();
}

cudaError_t layer_norm(int64_t rows, int64_t n, float *x, const float *gain, const float *bias,
                       double eps, cudaStream_t stream) {
  layer_norm_rows<<<blocks_of_rows(rows), kThreads, 0, stream>>>(rows, n, x, gain, bias, eps);
  return cudaGetLastError();
}

cudaError_t silu_gate(int64_t n, float *gate, const float *up, cudaStream_t stream) {
  return launch_each(n, stream, [=] __device__(int64_t i) {
    gate[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
  });
}

cudaError_t add(int64_t n, float *a, const float *b, cudaStream_t stream) {
  return launch_each(n, stream, [=] __device__(int64_t i) { a[i] += b[i]; });
}

cudaError_t multiply(int64_t n, float *a, float factor, cudaStream_t stream) {
  return launch_each(n, stream, [=] __device__(int64_t i) { a[i] *= factor; });
}

cudaError_t rotate(const Rotation &r, cudaStream_t stream) {
  return launch_each(r.rows * r.vectors * r.half, stream, [=] __device__(int64_t i) {
    const int64_t row = i / (r.vectors * r.half), vector = i / r.half % r.vectors;
    rotate_pair(r, row, vector, i % r.half);
  });
}

cudaError_t embed(int64_t rows, int64_t n, const uint8_t *bytes, const float *table, float *x,
                  cudaStream_t stream) {
  return launch_each(rows * n, stream,
                     [=] __device__(int64_t i) { x[i] = table[bytes[i / n] * n + i % n]; });
}

cudaError_t to_bfloat16(int64_t n, const float *from, void *to, cudaStream_t stream) {
  auto *halves = static_cast<__nv_bfloat16 *>(to);
  return launch_each(n, stream,
                     [=] __device__(int64_t i) { halves[i] = __float2bfloat16_rn(from[i]); });
}

}  // namespace tinylm::cuda
