// The top-k kernels of the CUDA module, for the registry and for operations that select what they
// have just scored.
#pragma once

#include <cuda_runtime.h>

#include "core/kernel.h"
#include "core/params.h"

namespace dsa::cuda {

// In order of preference.
extern const Kernel kTopkCluster, kTopkRegisters, kTopkWarp, kTopkSplit, kTopkGated, kTopkBlock;

// Enqueues the selection of rows [first_row, first_row + row_count) on run.stream, by the form that
// suits their number best. Rows are named by their number in the whole call everywhere.
// run.workspace: topk_workspace bytes for as many rows.
cudaError_t enqueue_topk(const TopkParams& params, int64_t first_row, int64_t row_count,
                         const Run& run);
// Enough for whichever form takes them; from host extents only, monotone in each.
uint64_t topk_workspace(const TopkParams& params, int64_t row_count, int32_t multiprocessors);
// Loads all forms that the current device can run: for the load() of a kernel that enqueues
// selections.
cudaError_t load_topk();

}  // namespace dsa::cuda
