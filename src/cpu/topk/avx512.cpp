#include "cpu/topk/ops_avx512.h"
#include "cpu/topk/row.inl.h"

namespace dsa::cpu::topk {

const Tier &tier_avx512() {
  static constexpr Tier kTier = make_tier<avx512::TopkOps>("avx512");
  return kTier;
}

}  // namespace dsa::cpu::topk
