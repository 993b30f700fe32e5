#include "cuda/registry.h"

#include <iterator>

#include "cuda/attention/attention.h"
#include "cuda/indexer/indexer.h"
#include "cuda/indexer_topk/indexer_topk.h"
#include "cuda/merge/merge_lse.h"
#include "cuda/topk/topk.h"

namespace dsa::cuda {
namespace {

const Kernel* const kKernels[] = {
    &kIndexerSm90,       &kIndexerSm80,   &kIndexerTopkSm90, &kIndexerTopkSm80, &kTopkCluster,
    &kTopkRegisters,     &kTopkWarp,      &kTopkSplit,       &kTopkGated,       &kTopkBlock,
    &kSparseAttnCluster, &kSparseAttnFew, &kSparseAttnWgmma, &kSparseAttnMma,   &kSparseAttnWarp,
    &kSparseAttnAny,     &kMergeLse,
};

}  // namespace

KernelList kernels() { return {kKernels, static_cast<int32_t>(std::size(kKernels))}; }

}  // namespace dsa::cuda
