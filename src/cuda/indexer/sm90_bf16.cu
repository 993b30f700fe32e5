#include "cuda/indexer/sm90_kernel.cuh"

namespace dsa::cuda::sm90 {

Variants bf16_variants() { return kVariants<Bf16>; }

}  // namespace dsa::cuda::sm90
