// dsa_forward's descriptor as a checked call: for the call and for the questions about it.
#pragma once

#include "api/make_params.h"
#include "hybrid/route.h"

namespace dsa {

// Throws what dsa_indexer_topk and dsa_sparse_attn would, and what the two have against each other.
ForwardCall make_forward(const dsa_ctx& ctx, const dsa_forward_desc& desc, bool needs_data);

}  // namespace dsa
