// Sparse attention's kernels, AVX-512 tier.
#include "cpu/simd/avx512.h"

#include "cpu/attention/attention.inl.h"

namespace dsa::cpu {

const AttnTier &attn_tier_avx512() {
  static constexpr AttnTier kTier = Attention<avx512::Avx512>::table();
  return kTier;
}

}  // namespace dsa::cpu
