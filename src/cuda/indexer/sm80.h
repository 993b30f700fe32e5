// The portable family's two ways to compute: tensor cores for 16-bit and 8-bit elements, and f32
// multiply-adds for all else.
#pragma once

#include "cuda/indexer/indexer.h"

namespace dsa::cuda {

// Which way a call goes: dtypes, Hi and Di decide, nothing else, so that a score's bits depend on
// nothing else.
bool indexer_takes_mma(const IndexerParams& p);

cudaError_t enqueue_indexer_mma(const ScoreCall& call, const Run& run);
cudaError_t load_indexer_mma();

cudaError_t enqueue_indexer_ffma(const ScoreCall& call, const Run& run);
cudaError_t load_indexer_ffma();

// A way of its own for calls of f32 with few heads, with the same bits as the one above.
bool indexer_takes_few_heads(const IndexerParams& p);
cudaError_t enqueue_indexer_few_heads(const ScoreCall& call, const Run& run);
cudaError_t load_indexer_few_heads();

}  // namespace dsa::cuda
