// Scores under a mask, or not contiguous, as dense rows.
#pragma once

#include "cuda/topk/form.h"

namespace dsa::cuda::topk {

// Copies the visible scores of each row, from the first on, to `to`, of the same dtype; what the
// mask hides becomes NaN.
cudaError_t enqueue_visible(const TopkCall& call, const RowTensor& to, const Run& run);
cudaError_t load_visible();

}  // namespace dsa::cuda::topk
