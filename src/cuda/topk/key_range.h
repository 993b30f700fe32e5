// Where special scores lie among the keys of key.cuh.
#pragma once

#include <cstdint>

namespace dsa::cuda::topk {

inline constexpr uint32_t kNoKey = 0;                // NaN, hidden, -inf that must not be selected
inline constexpr uint32_t kNegInfKey = 0x007fffffu;  // below it: negative NaN
inline constexpr uint32_t kPosInfKey = 0xff800000u;  // above it: positive NaN

// The least key that a call selects.
constexpr uint32_t lowest_key(bool select_neg_inf) {
  return select_neg_inf ? kNegInfKey : kNegInfKey + 1;
}

}  // namespace dsa::cuda::topk
