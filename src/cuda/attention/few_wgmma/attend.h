// Launches of the kernels for few heads, a file each.
#pragma once

#include "cuda/attention/run.h"

namespace dsa::cuda {

cudaError_t few_launch_bf16(const SparseAttnParams& p, const Run& run);
cudaError_t few_load_bf16();

}  // namespace dsa::cuda
