// Reading scores that are not contiguous f32, and masks.
#pragma once

#include "cpu/topk/tier.h"
#include "dsa.h"

namespace dsa::cpu::topk {
namespace {

static inline float widen_one(int32_t dtype, uint16_t bits) {
  return dtype == DSA_BF16 ? bf16_to_f32(bits) : f16_to_f32(bits);
}

template <class V>
void read_source(const ScoreSource &source, int32_t first, int32_t n, float *out) {
  if (source.dtype == DSA_F32) {
    const float *scores = reinterpret_cast<const float *>(source.scores) + first * source.stride;
    if (source.stride == 1) {
      memcpy(out, scores, size_t(n) * sizeof(float));
    } else {
      for (int32_t j = 0; j < n; ++j) out[j] = scores[j * source.stride];
    }
    return;
  }
  const uint16_t *scores =
      reinterpret_cast<const uint16_t *>(source.scores) + first * source.stride;
  int32_t j = 0;
  if (source.stride == 1 && source.dtype == DSA_BF16) {
    for (; n - j >= V::kWidth; j += V::kWidth) V::store(out + j, V::load_bf16(scores + j));
  } else if (source.stride == 1) {
    for (; n - j >= V::kWidth; j += V::kWidth) V::store(out + j, V::load_f16(scores + j));
  }
  for (; j < n; ++j) out[j] = widen_one(source.dtype, scores[j * source.stride]);
}

// Hides where the mask's element is one of two bit patterns. Plain loops: compilers vectorise the
// contiguous one.
template <class Element>
void hide(const char *mask, int64_t stride, int32_t n, Element a, Element b, float *out) {
  const Element *elements = reinterpret_cast<const Element *>(mask);
  const float nan = __builtin_nanf("");
  if (stride == 1) {
    for (int32_t j = 0; j < n; ++j) {
      const bool hidden = (elements[j] == a) | (elements[j] == b);
      out[j] = hidden ? nan : out[j];
    }
  } else {
    for (int32_t j = 0; j < n; ++j) {
      const Element m = elements[j * stride];
      if (m == a || m == b) out[j] = nan;
    }
  }
}

template <class V>
void fetch_scores(const void *context, int32_t first, int32_t n, float *out) {
  const ScoreSource &source = *static_cast<const ScoreSource *>(context);
  read_source<V>(source, first, n, out);
  if (source.mask == nullptr) return;
  const int64_t at = first * source.mask_stride;
  const int64_t stride = source.mask_stride;
  switch (source.mask_dtype) {  // -inf and the lowest finite value hide
    case DSA_U8:
      hide<uint8_t>(source.mask + at, stride, n, 0, 0, out);
      break;
    case DSA_F32:
      hide<uint32_t>(source.mask + at * 4, stride, n, 0xff800000u, 0xff7fffffu, out);
      break;
    case DSA_F16:
      hide<uint16_t>(source.mask + at * 2, stride, n, 0xfc00u, 0xfbffu, out);
      break;
    default:
      hide<uint16_t>(source.mask + at * 2, stride, n, 0xff80u, 0xff7fu, out);
      break;
  }
}

}  // namespace
}  // namespace dsa::cpu::topk
