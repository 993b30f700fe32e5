// Score descending, of equal ones index ascending.
#pragma once

#include <cstdint>

namespace dsa::cpu::topk {

// values [n] without NaN, aligned with indices [n] (or nullptr), both in index order. `keys` has
// room for 2 n. -0 and +0 are equal.
void sort_by_score(float* values, int32_t* indices, int32_t n, uint64_t* keys);

}  // namespace dsa::cpu::topk
