// Stored rows to f32 and back.
#pragma once

#include <cstdint>
#include <cstring>

#include "cpu/attention/tier.h"
#include "cpu/simd/convert.h"

namespace dsa::cpu {
namespace {

inline int64_t attn_type_bytes(AttnType type) {
  if (type == AttnType::kF32) return 4;
  return type == AttnType::kF16 || type == AttnType::kBf16 ? 2 : 1;
}

inline float attn_load_one(AttnType type, const void *p) {
  if (type == AttnType::kE4m3) return e4m3_to_f32(*static_cast<const uint8_t *>(p));
  if (type == AttnType::kF32) {
    float x;
    memcpy(&x, p, sizeof x);
    return x;
  }
  uint16_t h;
  memcpy(&h, p, sizeof h);
  return type == AttnType::kF16 ? f16_to_f32(h) : bf16_to_f32(h);
}

// The vector of elements at p, of which the first n (≤ kWidth) are there.
template <class V, AttnType type>
typename V::F attn_load(const void *p, int n) {
  const bool full = n == V::kWidth;
  if constexpr (type == AttnType::kF32) {
    const float *x = static_cast<const float *>(p);
    return full ? V::load(x) : V::load_n(x, n);
  } else if constexpr (type == AttnType::kF16) {
    const uint16_t *x = static_cast<const uint16_t *>(p);
    return full ? V::load_f16(x) : V::load_f16_n(x, n);
  } else if constexpr (type == AttnType::kBf16) {
    const uint16_t *x = static_cast<const uint16_t *>(p);
    return full ? V::load_bf16(x) : V::load_bf16_n(x, n);
  } else {
    const uint8_t *x = static_cast<const uint8_t *>(p);
    return full ? V::load_e4m3(x) : V::load_e4m3_n(x, n);
  }
}

// dst[0 .. n) = scale * src[0 .. n); dst is written in whole vectors, zeros past n.
template <class V, AttnType type>
void attn_widen(float *dst, const void *src, int64_t n, float scale) {
  constexpr int64_t kBytes = type == AttnType::kF32 ? 4 : type == AttnType::kE4m3 ? 1 : 2;
  const char *p = static_cast<const char *>(src);
  const typename V::F factor = V::set1(scale);
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) {
    V::store(dst + i, V::mul(attn_load<V, type>(p + i * kBytes, V::kWidth), factor));
  }
  if (i < n) V::store(dst + i, V::mul(attn_load<V, type>(p + i * kBytes, int(n - i)), factor));
}

template <class V>
void attn_widen_any(AttnType type, float *dst, const void *src, int64_t n, float scale) {
  if (type == AttnType::kF32) return attn_widen<V, AttnType::kF32>(dst, src, n, scale);
  if (type == AttnType::kF16) return attn_widen<V, AttnType::kF16>(dst, src, n, scale);
  if (type == AttnType::kBf16) return attn_widen<V, AttnType::kBf16>(dst, src, n, scale);
  return attn_widen<V, AttnType::kE4m3>(dst, src, n, scale);
}

// One row to f32: dst[0 .. rows.d), and zeros up to the next whole vector. Up to 16 floats past
// rows.d are overwritten.
template <class V>
void attn_load_row(const AttnRows &rows, float *dst, const void *src, const float *scales) {
  const int64_t group = rows.group > 0 && scales ? rows.group : rows.d;
  const int64_t bytes = attn_type_bytes(rows.type);
  const char *p = static_cast<const char *>(src);
  for (int64_t from = 0; from < rows.d; from += group) {
    const int64_t n = rows.d - from < group ? rows.d - from : group;
    const float scale = rows.group > 0 && scales ? *scales : 1.0f;
    if (rows.group > 0 && scales) scales += rows.group_stride;
    if (rows.stride == 1) {
      // A group that does not end on a vector writes zeros past its end; the next one overwrites
      // them.
      attn_widen_any<V>(rows.type, dst + from, p + from * bytes, n, scale);
      continue;
    }
    for (int64_t i = from; i < from + n; ++i) {
      dst[i] = scale * attn_load_one(rows.type, p + i * rows.stride * bytes);
    }
  }
  for (int64_t i = rows.d; i % V::kWidth != 0; ++i) dst[i] = 0.0f;
}

inline int64_t attn_row_bytes(const AttnRows &rows) {
  return rows.stride == 1 ? rows.d * attn_type_bytes(rows.type) : 0;
}

template <class V>
void attn_prefetch(const void *row, int64_t bytes) {
  const char *p = static_cast<const char *>(row);
  for (int64_t i = 0; i < bytes; i += 64) V::prefetch(p + i);
}

template <class V>
void attn_write(AttnType type, void *dst, int64_t stride, const float *src, int64_t n,
                float factor) {
  const typename V::F f = V::set1(factor);
  if (stride == 1) {
    for (int64_t i = 0; i < n; i += V::kWidth) {
      const int m = int(n - i < V::kWidth ? n - i : V::kWidth);
      const typename V::F x = V::mul(V::load_n(src + i, m), f);
      if (type == AttnType::kF32) {
        V::store_n(static_cast<float *>(dst) + i, x, m);
      } else if (type == AttnType::kF16) {
        V::store_f16_n(static_cast<uint16_t *>(dst) + i, x, m);
      } else {
        V::store_bf16_n(static_cast<uint16_t *>(dst) + i, x, m);
      }
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    const float x = src[i] * factor;
    if (type == AttnType::kF32) {
      static_cast<float *>(dst)[i * stride] = x;
    } else {
      static_cast<uint16_t *>(dst)[i * stride] =
          type == AttnType::kF16 ? f32_to_f16(x) : f32_to_bf16(x);
    }
  }
}

}  // namespace
}  // namespace dsa::cpu
