// The CPU's part of a hybrid call: the cut of each row of a chunk.
#pragma once

#include <functional>

#include "hybrid/chunks.h"

namespace dsa {

// Why the context has no CPU selection for such calls; "" when it has.
std::string refuse_cuts(const dsa_ctx& ctx);

// From the slot's scores to its cuts, on the context's threads. `select`: k and select_neg_inf.
// `meanwhile` is run once, by one of the threads before it takes its share; it may throw.
void find_cuts(dsa_ctx& ctx, const PinnedSlot& slot, int64_t rows, const SelectParams& select,
               void* parallel_user, const std::function<void()>& meanwhile);

}  // namespace dsa
