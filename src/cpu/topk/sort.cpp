#include "cpu/topk/sort.h"

#include <algorithm>

#include "cpu/simd/convert.h"

namespace dsa::cpu::topk {
namespace {

// Ascending in the opposite order of the floats; both zeros give the same.
uint32_t descending_key(float x) {
  const uint32_t u = f32_bits(x == 0.0f ? 0.0f : x);
  return u & 0x80000000u ? u : ~u & 0x7fffffffu;
}

// Stable least-significant-digit passes over bits 32 to 63; `n` keys in `from`, another n of room
// in `to`. Returns where the sorted keys are.
uint64_t* radix_sort(uint64_t* from, uint64_t* to, int32_t n) {
  int32_t counts[4][256] = {};
  for (int32_t j = 0; j < n; ++j) {
    for (int digit = 0; digit < 4; ++digit) ++counts[digit][from[j] >> (32 + 8 * digit) & 255];
  }
  for (int digit = 0; digit < 4; ++digit) {
    const int shift = 32 + 8 * digit;
    int32_t* place = counts[digit];
    if (place[from[0] >> shift & 255] == n) continue;  // all the same digit
    int32_t next = 0;
    for (int b = 0; b < 256; ++b) {
      const int32_t here = place[b];
      place[b] = next;
      next += here;
    }
    for (int32_t j = 0; j < n; ++j) to[place[from[j] >> shift & 255]++] = from[j];
    std::swap(from, to);
  }
  return from;
}

}  // namespace

void sort_by_score(float* values, int32_t* indices, int32_t n, uint64_t* keys) {
  if (n < 2) return;
  for (int32_t j = 0; j < n; ++j) {
    keys[j] = uint64_t{descending_key(values[j])} << 32 | uint32_t(j);
  }
  uint64_t* sorted = keys;
  constexpr int32_t kRadixFrom = 256;  // below, clearing and summing the counters costs more
  if (n < kRadixFrom) {
    std::sort(keys, keys + n);
  } else {
    sorted = radix_sort(keys, keys + n, n);
  }
  // The keys' low halves say where each element was. Apply that to both arrays through the room
  // that the other half of `keys` has.
  uint32_t* moved = reinterpret_cast<uint32_t*>(sorted == keys ? keys + n : keys);
  for (int32_t j = 0; j < n; ++j) moved[j] = f32_bits(values[uint32_t(sorted[j])]);
  for (int32_t j = 0; j < n; ++j) values[j] = f32_from_bits(moved[j]);
  if (indices == nullptr) return;
  for (int32_t j = 0; j < n; ++j) moved[j] = uint32_t(indices[uint32_t(sorted[j])]);
  for (int32_t j = 0; j < n; ++j) indices[j] = int32_t(moved[j]);
}

}  // namespace dsa::cpu::topk
