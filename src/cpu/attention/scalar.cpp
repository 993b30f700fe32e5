// Sparse attention's kernels, scalar tier.
#include "cpu/simd/scalar.h"

#include "cpu/attention/attention.inl.h"

namespace dsa::cpu {

const AttnTier &attn_tier_scalar() {
  static constexpr AttnTier kTier = Attention<scalar::Scalar>::table();
  return kTier;
}

}  // namespace dsa::cpu
