// A selection in order of score: sorts what a form has selected.
#pragma once

#include "cuda/topk/form.h"

namespace dsa::cuda::topk {

inline constexpr int64_t kMostSorted = 8192;

// `list`: each row's selected keys, their positions ascending, -1 behind them: the call's own
// indices output, or as wide as the most that a row selects. Writes all outputs but counts.
cudaError_t enqueue_order(const TopkCall& call, const RowTensor& list, const Run& run);
cudaError_t load_order();

}  // namespace dsa::cuda::topk
