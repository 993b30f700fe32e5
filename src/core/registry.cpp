// Every CPU kernel of this build, best first within an operation. A new kernel is a line here. (The
// CUDA module has such a list of its own: src/cuda/registry.cpp.)
#include <iterator>

#include "core/kernel.h"
#include "cpu/attention/attention.h"
#include "cpu/indexer/indexer.h"
#include "cpu/indexer_topk/indexer_topk.h"
#include "cpu/merge/merge_lse.h"
#include "cpu/topk/topk.h"

namespace dsa {
namespace {

const Kernel* const kKernels[] = {
#if defined(DSA_X86)
    &cpu::kIndexerAmx,        &cpu::kIndexerAvx512,     &cpu::kIndexerAvx2,
#endif
    &cpu::kIndexerScalar,
#if defined(DSA_X86)
    &cpu::kTopkAvx512,        &cpu::kTopkAvx2,
#endif
    &cpu::kTopkScalar,
#if defined(DSA_X86)
    &cpu::kIndexerTopkAmx,    &cpu::kIndexerTopkAvx512, &cpu::kIndexerTopkAvx2,
#endif
    &cpu::kIndexerTopkScalar,
#if defined(DSA_X86)
    &cpu::kSparseAttnAmx,     &cpu::kSparseAttnAvx512,  &cpu::kSparseAttnAvx2,
#endif
    &cpu::kSparseAttnScalar,  &cpu::kMergeLse,
};

}  // namespace

KernelList cpu_kernels() { return {kKernels, static_cast<int32_t>(std::size(kKernels))}; }

}  // namespace dsa
