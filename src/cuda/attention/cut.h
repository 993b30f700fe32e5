// Cuts become lists before attention runs: the kernels behind know no scores.
#pragma once

#include <cuda_runtime.h>

#include "cuda/attention/division.h"

namespace dsa::cuda {

// Writes the keys that pass the cuts of rows [first_row, first_row + rows), ascending, at most k of
// a row, where attn_with_lists has them read.
cudaError_t attn_write_lists(const SparseAttnParams& p, char* lists, int64_t first_row,
                             int64_t rows, cudaStream_t stream);
cudaError_t attn_load_cut();

}  // namespace dsa::cuda
