// Sparse attention's kernels, AMX tier.
#include "cpu/attention/amx.inl.h"
#include "cpu/attention/tiles.h"
#include "cpu/simd/avx512.h"

namespace dsa::cpu {

const AttnTier &attn_tier_amx() {
  static constexpr AttnTier kTier = AmxAttention<avx512::Avx512, AmxTiles>::table();
  return kTier;
}

}  // namespace dsa::cpu
