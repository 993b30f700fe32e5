#include "cuda/registry.h"

#include <iterator>

#include "cuda/indexer/indexer.h"
#include "cuda/merge/merge_lse.h"
#include "cuda/topk/topk.h"

namespace dsa::cuda {
namespace {

const Kernel* const kKernels[] = {
    &kIndexerSm90,
    &kIndexerSm80,
    &kTopkWarp,
    &kTopkRegisters,
    &kTopkCluster,
    &kTopkGated,
    &kTopkBlock,
    &kMergeLse,
};

}  // namespace

KernelList kernels() { return {kKernels, static_cast<int32_t>(std::size(kKernels))}; }

}  // namespace dsa::cuda
