#include "cpu/topk/ops_scalar.h"
#include "cpu/topk/row.inl.h"

namespace dsa::cpu::topk {

const Tier &tier_scalar() {
  static constexpr Tier kTier = make_tier<scalar::TopkOps>("scalar");
  return kTier;
}

}  // namespace dsa::cpu::topk
