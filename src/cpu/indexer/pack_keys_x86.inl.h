// Keys to f32 [Di, kBlock], lane = key: contiguous rows by 128-bit loads. A vector takes 16 bytes
// of every fourth key, one key a 128-bit lane; a 4 x 4 transpose of 32-bit units inside the lanes
// then leaves unit j of all keys in order (8 shuffles for 64 units: with one query, packing is
// about 7 % of the work at Hi 64). Narrow formats are widened after the transpose, because a unit
// holds 2 or 4 of their neighbouring elements.
//
// A tier's Lanes: I (a vector of 32-bit units), kKeys, gather16 (16 bytes of the keys i, i + 4, …),
// unpack, and widen<type> (a unit of all keys to its elements' rows).
#pragma once

#include <immintrin.h>

#include "cpu/indexer/pack_keys.inl.h"

namespace dsa::cpu {
namespace {

alignas(64) constexpr uint8_t kZeroRow[size_t(kIndexerMaxDim) * sizeof(float)] = {};

template <class Lanes, int kBlock>
struct PackKeys {
  using I = typename Lanes::I;
  static constexpr int kKeys = Lanes::kKeys;
  static_assert(kBlock % kKeys == 0);

  // Elements [0, count) of one 16-byte step, units [kKeys] each; out is [elements, kBlock].
  template <IndexerType type>
  static void step(const uint8_t* const* rows, size_t offset, int count, float* out) {
    constexpr int kElements = type == IndexerType::kF32 ? 1 : type == IndexerType::kE4m3 ? 4 : 2;
    const I r0 = Lanes::gather16(rows, offset);
    const I r1 = Lanes::gather16(rows + 1, offset);
    const I r2 = Lanes::gather16(rows + 2, offset);
    const I r3 = Lanes::gather16(rows + 3, offset);
    const I lo0 = Lanes::low32(r0, r1), hi0 = Lanes::high32(r0, r1);
    const I lo1 = Lanes::low32(r2, r3), hi1 = Lanes::high32(r2, r3);
    const I unit[4] = {Lanes::low64(lo0, lo1), Lanes::high64(lo0, lo1), Lanes::low64(hi0, hi1),
                       Lanes::high64(hi0, hi1)};
    if (count == 4 * kElements) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        Lanes::template widen<type>(unit[j], out + ptrdiff_t(j) * kElements * kBlock, kBlock);
      }
      return;
    }
    alignas(64) float last[16 * kKeys];
    for (int j = 0; j < 4; ++j) {
      Lanes::template widen<type>(unit[j], last + ptrdiff_t(j) * kElements * kKeys, kKeys);
    }
    for (int d = 0; d < count; ++d) {
      Lanes::copy(last + d * kKeys, out + ptrdiff_t(d) * kBlock);
    }
  }

  template <IndexerType type>
  static void pack(const void* const* rows, int32_t dim, float* out) {
    constexpr int kBytes = type == IndexerType::kF32 ? 4 : type == IndexerType::kE4m3 ? 1 : 2;
    constexpr int kStep = 16 / kBytes;
    const int32_t whole = dim / kStep * kStep;
    for (int group = 0; group < kBlock; group += kKeys) {
      const uint8_t* keys[kKeys];
      for (int i = 0; i < kKeys; ++i) {
        const void* row = rows[group + i];
        keys[i] = row == nullptr ? kZeroRow : static_cast<const uint8_t*>(row);
      }
      for (ptrdiff_t d = 0; d < whole; d += kStep) {
        step<type>(keys, size_t(d) * kBytes, kStep, out + d * kBlock + group);
      }
      if (whole == dim) continue;
      alignas(16) uint8_t last[kKeys][16] = {};
      for (int i = 0; i < kKeys; ++i) {
        memcpy(last[i], keys[i] + size_t(whole) * kBytes, size_t(dim - whole) * kBytes);
        keys[i] = last[i];
      }
      step<type>(keys, 0, dim - whole, out + ptrdiff_t(whole) * kBlock + group);
    }
  }

  static void run(const void* const* rows, IndexerType type, ptrdiff_t stride, int32_t dim,
                  void* packed) {
    float* out = static_cast<float*>(packed);
    if (stride != 1) return pack_keys_plain<kBlock>(rows, type, stride, dim, packed);
    switch (type) {
      case IndexerType::kF32:
        return pack<IndexerType::kF32>(rows, dim, out);
      case IndexerType::kF16:
        return pack<IndexerType::kF16>(rows, dim, out);
      case IndexerType::kBf16:
        return pack<IndexerType::kBf16>(rows, dim, out);
      case IndexerType::kE4m3:
        return pack<IndexerType::kE4m3>(rows, dim, out);
    }
  }
};

}  // namespace
}  // namespace dsa::cpu
