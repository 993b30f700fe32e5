#include "cpu/topk/ops_avx2.h"
#include "cpu/topk/row.inl.h"

namespace dsa::cpu::topk {

const Tier &tier_avx2() {
  static constexpr Tier kTier = make_tier<avx2::TopkOps>("avx2");
  return kTier;
}

}  // namespace dsa::cpu::topk
