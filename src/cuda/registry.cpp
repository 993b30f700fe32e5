#include "cuda/registry.h"

#include <iterator>

#include "cuda/merge/merge_lse.h"

namespace dsa::cuda {
namespace {

const Kernel* const kKernels[] = {
    &kMergeLse,
};

}  // namespace

KernelList kernels() { return {kKernels, static_cast<int32_t>(std::size(kKernels))}; }

}  // namespace dsa::cuda
