// Partial results of a divided call into its outputs.
#pragma once

#include <cuda_runtime.h>

#include "core/kernel.h"
#include "cuda/attention/division.h"

namespace dsa::cuda {

cudaError_t attn_merge_splits(const SparseAttnParams& p, const AttnDivision& d, const Run& run);
cudaError_t attn_load_merge_splits();

}  // namespace dsa::cuda
