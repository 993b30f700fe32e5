#include "cuda/indexer/sm90_kernel.cuh"

namespace dsa::cuda::sm90 {

Variants e4m3_variants() { return kVariants<E4m3>; }

}  // namespace dsa::cuda::sm90
