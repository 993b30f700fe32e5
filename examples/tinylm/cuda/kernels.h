#pragma once
// The small steps between matrix products on a GPU. Each enqueues on a stream and returns its
// launch's error.

#include <cuda_runtime.h>

#include <cstdint>

#include "layers.h"

namespace tinylm::cuda {

cudaError_t rms_norm(int64_t rows, int64_t n, const float *x, int64_t x_stride, const float *gain,
                     double eps, float *y, int64_t y_stride, cudaStream_t stream);
cudaError_t layer_norm(int64_t rows, int64_t n, float *x, const float *gain, const float *bias,
                       double eps, cudaStream_t stream);
cudaError_t silu_gate(int64_t n, float *gate, const float *up, cudaStream_t stream);
cudaError_t add(int64_t n, float *a, const float *b, cudaStream_t stream);
cudaError_t multiply(int64_t n, float *a, float factor, cudaStream_t stream);
cudaError_t rotate(const Rotation &r, cudaStream_t stream);
// bytes in device memory
cudaError_t embed(int64_t rows, int64_t n, const uint8_t *bytes, const float *table, float *x,
                  cudaStream_t stream);
cudaError_t to_bfloat16(int64_t n, const float *from, void *to, cudaStream_t stream);

}  // namespace tinylm::cuda
