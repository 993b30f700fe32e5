// The indexer kernels of the CUDA module, for the registry and for the fused operation.
#pragma once

#include <cuda_runtime.h>

#include "core/kernel.h"
#include "core/params.h"

namespace dsa::cuda {

// Which rows of a call are scored, and what their score matrix looks like: dsa_indexer scores all
// rows into the caller's matrix, dsa_indexer_topk a chunk of rows at a time into its workspace.
// Passed to the kernels by value.
struct ScoreCall {
  IndexerParams p;  // p.scores.row(t) is right for the rows of the range
  int64_t first_row = 0;
  int64_t row_count = 0;
  // Column 0 of a row is its first visible key, whatever the columns of the mask are.
  bool from_begin = false;
  bool fill = true;  // write -inf to the columns that are not visible
  // What the score of a key is that the mask or the block table hides. -inf, or NaN, which no
  // selection takes. Left untouched where `keep_hidden`.
  float hidden = 0;
  bool keep_hidden = false;
  // What the stream's previous kernel writes is no input of this call: only its scores wait for
  // that to end. (A hint.)
  bool inputs_ready = false;

  // Column of key s of a row in the score matrix.
  DSA_HOST_DEVICE int64_t column(const RowSpan& span, int64_t s) const {
    return from_begin ? s - span.begin : s;
  }
};

// dsa_indexer as a ScoreCall.
ScoreCall make_score_call(const IndexerParams& p);

// A family of indexer kernels. The bits of a score do not depend on the ScoreCall it is part of.
struct IndexerFamily {
  const char* (*refuse)(const IndexerParams& p);
  cudaError_t (*enqueue)(const ScoreCall& call, const Run& run);
  cudaError_t (*load)();
};
// wgmma: e4m3 queries with e4m3 keys, bf16 with bf16.
extern const IndexerFamily kIndexerFamilySm90;
extern const IndexerFamily kIndexerFamilySm80;

extern const Kernel kIndexerSm90, kIndexerSm80;

}  // namespace dsa::cuda
