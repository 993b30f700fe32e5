// Launches of the tensor-core attention kernels, a file each.
#pragma once

#include "cuda/attention/run.h"

namespace dsa::cuda {

cudaError_t mma_launch_bf16(const SparseAttnParams& p, const Run& run);
cudaError_t mma_launch_f16(const SparseAttnParams& p, const Run& run);
cudaError_t mma_launch_fp8(const SparseAttnParams& p, const Run& run);
cudaError_t mma_load_bf16();
cudaError_t mma_load_f16();
cudaError_t mma_load_fp8();

}  // namespace dsa::cuda
