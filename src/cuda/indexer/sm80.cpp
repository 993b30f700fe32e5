#include "cuda/indexer/sm80.h"

#include "cuda/kernel.h"

namespace dsa::cuda {
namespace {

const char* refuse(const IndexerParams&) { return nullptr; }

uint64_t workspace(const IndexerParams&, int32_t) { return 0; }

cudaError_t enqueue(const ScoreCall& call, const Run& run) {
  if (call.row_count == 0) return cudaSuccess;
  return indexer_takes_mma(call.p) ? enqueue_indexer_mma(call, run)
                                   : enqueue_indexer_ffma(call, run);
}

cudaError_t launch(const IndexerParams& p, const Run& run) {
  return enqueue(make_score_call(p), run);
}

cudaError_t load() {
  const cudaError_t error = load_indexer_mma();
  return error == cudaSuccess ? load_indexer_ffma() : error;
}

}  // namespace

constinit const IndexerFamily kIndexerFamilySm80 = {refuse, enqueue, load};

constinit const Kernel kIndexerSm80 =
    make_kernel<IndexerParams, refuse, workspace, launch, load>("cuda.indexer.sm80", "sm80", 80);

}  // namespace dsa::cuda
