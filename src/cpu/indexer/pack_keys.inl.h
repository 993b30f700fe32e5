// Keys to f32 [Di, kBlock], lane = key: the plain form, for the scalar tier and for strided rows.
#pragma once

#include "cpu/indexer/pack_query.inl.h"

namespace dsa::cpu {
namespace {

template <int kBlock>
inline void pack_keys_plain(const void* const* rows, IndexerType type, ptrdiff_t stride,
                            int32_t dim, void* packed) {
  float* out = static_cast<float*>(packed);
  for (int lane = 0; lane < kBlock; ++lane) {
    const void* row = rows[lane];
    for (ptrdiff_t d = 0; d < dim; ++d) {
      out[d * kBlock + lane] = row == nullptr ? 0.0f : element_f32(row, type, d * stride);
    }
  }
}

}  // namespace
}  // namespace dsa::cpu
