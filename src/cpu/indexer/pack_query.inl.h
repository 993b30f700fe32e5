// Query rows to f32, the scale multiplied in: [Hi, row floats], then the weights (score.inl.h).
#pragma once

#include "cpu/indexer/score.inl.h"
#include "cpu/indexer/tier.h"
#include "cpu/simd/convert.h"

namespace dsa::cpu {
namespace {

inline float element_f32(const void* p, IndexerType type, ptrdiff_t i) {
  switch (type) {
    case IndexerType::kF32:
      return static_cast<const float*>(p)[i];
    case IndexerType::kF16:
      return f16_to_f32(static_cast<const uint16_t*>(p)[i]);
    case IndexerType::kBf16:
      return bf16_to_f32(static_cast<const uint16_t*>(p)[i]);
    case IndexerType::kE4m3:
      return e4m3_to_f32(static_cast<const uint8_t*>(p)[i]);
  }
  return 0.0f;
}

inline ptrdiff_t element_bytes(IndexerType type) {
  switch (type) {
    case IndexerType::kF32:
      return 4;
    case IndexerType::kF16:
    case IndexerType::kBf16:
      return 2;
    case IndexerType::kE4m3:
      return 1;
  }
  return 0;
}

inline const void* element_at(const void* p, IndexerType type, ptrdiff_t i) {
  return static_cast<const uint8_t*>(p) + i * element_bytes(type);
}

template <class V>
struct ConvertRow {
  using F = typename V::F;

  static F load(const void* p, IndexerType type, int n) {
    switch (type) {
      case IndexerType::kF32:
        return V::load_n(static_cast<const float*>(p), n);
      case IndexerType::kF16:
        return V::load_f16_n(static_cast<const uint16_t*>(p), n);
      case IndexerType::kBf16:
        return V::load_bf16_n(static_cast<const uint16_t*>(p), n);
      case IndexerType::kE4m3:
        return V::load_e4m3_n(static_cast<const uint8_t*>(p), n);
    }
    return V::zero();
  }

  // out [n] = scale * x [n]; plain = contiguous.
  static void row(const void* x, IndexerType type, ptrdiff_t stride, int32_t n, float scale,
                  float* out) {
    if (stride != 1) {
      for (int32_t i = 0; i < n; ++i) out[i] = scale * element_f32(x, type, i * stride);
      return;
    }
    const F factor = V::set1(scale);
    for (int32_t i = 0; i < n; i += V::kWidth) {
      const int left = n - i < V::kWidth ? n - i : V::kWidth;
      V::store_n(out + i, V::mul(factor, load(element_at(x, type, i), type, left)), left);
    }
  }

  static void query(const IndexerQuery& a, int32_t heads, int32_t dim, void* packed) {
    const ptrdiff_t row_floats = query_row_floats(dim);
    float* out = static_cast<float*>(packed);
    for (int32_t h = 0; h < heads; ++h) {
      const float scale = a.q_scale == nullptr ? 1.0f : a.q_scale[h * a.q_scale_stride];
      row(element_at(a.q, a.q_type, h * a.q_head_stride), a.q_type, a.q_dim_stride, dim, scale,
          out + h * row_floats);
    }
    float* w = out + heads * row_floats;
    for (int32_t h = 0; h < heads; ++h) {
      w[h] = a.w == nullptr ? 1.0f : element_f32(a.w, a.w_type, h * a.w_stride);
    }
  }
};

}  // namespace
}  // namespace dsa::cpu
