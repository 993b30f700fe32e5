// Sparse attention's kernels, AVX2 tier.
#include "cpu/simd/avx2.h"

#include "cpu/attention/attention.inl.h"

namespace dsa::cpu {

const AttnTier &attn_tier_avx2() {
  static constexpr AttnTier kTier = Attention<avx2::Avx2>::table();
  return kTier;
}

}  // namespace dsa::cpu
