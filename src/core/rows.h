// Query rows: which request each belongs to and which keys it may see. The only place that knows
// the ways of giving visibility; kernels ask for a row's span.
#pragma once

#include "core/tensor.h"

namespace dsa {

enum class VisibleBy : int32_t { kAll, kRange, kSeqLens, kCausal };

// Key positions [begin, end) of one request.
struct RowSpan {
  int32_t request;
  int32_t begin;
  int32_t end;
};

DSA_HOST_DEVICE constexpr int64_t clamp64(int64_t value, int64_t low, int64_t high) {
  return value < low ? low : value > high ? high : value;
}

// The bits of the mask elements that hide a key: -inf and the lowest finite number; of u8, 0.
struct HidingBits {
  uint32_t inf, lowest;
};
DSA_HOST_DEVICE constexpr HidingBits hiding_bits(int32_t mask_dtype) {
  switch (mask_dtype) {
    case DSA_U8:
      return {0, 0};
    case DSA_F32:
      return {0xff800000u, 0xff7fffffu};
    case DSA_F16:
      return {0xfc00u, 0xfbffu};
    default:  // DSA_BF16
      return {0xff80u, 0xff7fu};
  }
}

struct Rows {
  int64_t count = 0;        // T
  int64_t batch = 1;        // B
  int64_t per_request = 0;  // T/B; 0 when row_request decides
  VisibleBy by = VisibleBy::kAll;
  bool columns_from_begin = false;
  int32_t next_n = 1;
  int32_t ratio = 1;
  int64_t offset = 0;
  int64_t max_keys = 0;   // 0: none
  int64_t key_limit = 0;  // positions a request can have
  int64_t columns = -1;   // of scores or mask; -1: neither is given
  RowTensor row_request, row_begin, row_end;
  const char* seq_lens = nullptr;  // i32
  int64_t seq_lens_stride = 0;     // bytes
  RowTensor mask;                  // [T, columns]

  DSA_HOST_DEVICE int32_t request(int64_t t) const {
    if (row_request.given()) {
      return static_cast<int32_t>(clamp64(*row_request.row_as<const int32_t>(t), 0, batch - 1));
    }
    if (batch == 1) return 0;
    return static_cast<int32_t>(per_request == 1 ? t : t / per_request);
  }

  // Keys that stand for this many tokens. (A GPU takes half a microsecond for a 64-bit division.)
  DSA_HOST_DEVICE int64_t keys_of(int64_t tokens) const {
    return ratio == 1 ? tokens : tokens / ratio;
  }

  DSA_HOST_DEVICE RowSpan span(int64_t t) const {
    const int32_t r = request(t);
    int64_t begin = 0;
    int64_t end = key_limit;
    if (by == VisibleBy::kRange) {
      if (row_begin.given()) begin = *row_begin.row_as<const int32_t>(t);
      end = *row_end.row_as<const int32_t>(t);
    } else if (by == VisibleBy::kSeqLens) {
      const int64_t length = *reinterpret_cast<const int32_t*>(seq_lens + r * seq_lens_stride);
      const int64_t query = next_n == 1 ? 0 : t % next_n;
      end = keys_of(clamp64(length - next_n + 1 + query, 0, INT32_MAX));
    } else if (by == VisibleBy::kCausal) {
      end = keys_of(clamp64(offset + (batch == 1 ? t : t % per_request) + 1, 0, INT64_MAX));
    }
    begin = clamp64(begin, 0, key_limit);
    end = clamp64(end, begin, key_limit);
    if (max_keys > 0 && end - begin > max_keys) end = begin + max_keys;
    if (columns >= 0) {
      const int64_t last = columns_from_begin ? begin + columns : columns;
      if (end > last) end = last;
      if (begin > end) begin = end;
    }
    return {r, static_cast<int32_t>(begin), static_cast<int32_t>(end)};
  }

  // Whether span() reads nothing but what stands here, and so is right on the host.
  bool on_host() const {
    return !row_request.given() && (by == VisibleBy::kAll || by == VisibleBy::kCausal);
  }

  // Most keys that any row can see: known on the host, so that kernels and workspace follow it.
  DSA_HOST_DEVICE int64_t max_length() const {
    int64_t most = key_limit;
    if (columns >= 0 && columns < most) most = columns;
    if (max_keys > 0 && max_keys < most) most = max_keys;
    return most;
  }

  // The same visible keys, of rows of scores that begin with their first visible key and to which
  // the mask has been applied.
  Rows from_begin() const {
    Rows out = *this;
    if (columns >= 0 && !columns_from_begin) {
      if (columns < out.key_limit) out.key_limit = columns;
      out.columns = -1;
    }
    out.columns_from_begin = true;
    out.mask = {};
    return out;
  }

  // Column of key s in scores and mask.
  DSA_HOST_DEVICE int64_t column(const RowSpan& span, int64_t s) const {
    return columns_from_begin ? s - span.begin : s;
  }

  // Whether the mask hides key s of row t (s inside the span).
  DSA_HOST_DEVICE bool hidden(int64_t t, const RowSpan& span, int64_t s) const {
    if (!mask.given()) return false;
    const char* element = mask.row(t) + column(span, s) * mask.stride[0] * mask.bytes;
    const HidingBits hiding = hiding_bits(mask.dtype);
    const uint32_t bits = mask.bytes == 4   ? *reinterpret_cast<const uint32_t*>(element)
                          : mask.bytes == 2 ? *reinterpret_cast<const uint16_t*>(element)
                                            : *reinterpret_cast<const uint8_t*>(element);
    return bits == hiding.inf || bits == hiding.lowest;
  }
};

}  // namespace dsa
