// Launches of the wgmma attention kernels, a file each.
#pragma once

#include "cuda/attention/run.h"

namespace dsa::cuda {

constexpr int32_t kWgmmaHeads = 64;  // of a block

cudaError_t wgmma_launch_bf16(const SparseAttnParams& p, const Run& run);
cudaError_t wgmma_launch_fp8(const SparseAttnParams& p, const Run& run);
cudaError_t wgmma_load_bf16();
cudaError_t wgmma_load_fp8();

}  // namespace dsa::cuda
