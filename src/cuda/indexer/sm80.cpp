#include "cuda/indexer/sm80.h"

#include "cuda/kernel.h"

namespace dsa::cuda {
namespace {

const char* refuse(const IndexerParams&) { return nullptr; }

uint64_t workspace(const IndexerParams&, int32_t) { return 0; }

cudaError_t enqueue(const ScoreCall& call, const Run& run) {
  if (call.row_count == 0) return cudaSuccess;
  if (indexer_takes_mma(call.p)) return enqueue_indexer_mma(call, run);
  if (indexer_takes_few_heads(call.p)) return enqueue_indexer_few_heads(call, run);
  return enqueue_indexer_ffma(call, run);
}

cudaError_t launch(const IndexerParams& p, const Run& run) {
  return enqueue(make_score_call(p), run);
}

cudaError_t load() {
  cudaError_t error = load_indexer_mma();
  if (error == cudaSuccess) error = load_indexer_ffma();
  return error == cudaSuccess ? load_indexer_few_heads() : error;
}

}  // namespace

constinit const IndexerFamily kIndexerFamilySm80 = {refuse, enqueue, load};

constinit const Kernel kIndexerSm80 =
    make_kernel<IndexerParams, refuse, workspace, launch, load>("cuda.indexer.sm80", "sm80", 80);

}  // namespace dsa::cuda
