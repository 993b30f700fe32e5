// Compares the outputs of a selection with what section 7 of dsa.h says, for any descriptor that
// has them.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "oracle/topk.h"

namespace oracle {

template <class... Args>
std::string text(const Args&... args) {
  std::string out;
  const auto add = [&out](const auto& a) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(a)>>) {
      out += std::to_string(a);
    } else {
      out += a;
    }
  };
  (add(args), ...);
  return out;
}

inline bool is_width(const dsa_tensor& t, int64_t& width) {
  width = given(t) ? t.shape[t.ndim - 1] : 0;
  return given(t);
}

// `value_bits(candidate, bytes)` copies the score's own bits; -inf of the dtype for padding.
template <class Desc, class ValueBits>
std::string check_selection(const Desc& d, int64_t t, const Row& row, const Selected& expected,
                            int64_t key_page_size, int32_t value_bytes, ValueBits&& value_bits) {
  const uint32_t shift = given(d.index_base)
                             ? static_cast<uint32_t>(row_integer(d.index_base, t, {})) -
                                   static_cast<uint32_t>(row.begin)
                             : 0u;
  const auto as_index = [&](int64_t key) {
    return static_cast<int32_t>(static_cast<uint32_t>(key) + shift);
  };
  const int64_t count = static_cast<int64_t>(expected.keys.size());
  int64_t width;
  if (given(d.counts) && row_integer(d.counts, t, {}) != count) {
    return text("row ", t, ": count is ", row_integer(d.counts, t, {}), ", must be ", count);
  }
  if (is_width(d.indices, width)) {
    for (int64_t j = 0; j < width; ++j) {
      const int64_t want = j < count ? as_index(expected.keys[size_t(j)].key) : -1;
      const int64_t got = row_integer(d.indices, t, {j});
      if (got != want) return text("row ", t, ": indices[", j, "] is ", got, ", must be ", want);
    }
  }
  if (is_width(d.slots, width)) {
    const dsa_tensor& table = given(d.slot_table) ? d.slot_table : d.block_table;
    const int64_t page = d.slot_page_size > 0 ? d.slot_page_size : key_page_size;
    const int64_t stride = d.slot_page_stride > 0 ? d.slot_page_stride : page;
    for (int64_t j = 0; j < width; ++j) {
      int64_t want = -1;
      if (j < count) {
        const int64_t key = expected.keys[size_t(j)].key;
        if (key / page < table.shape[1]) {
          const int64_t entry = integer(table, {row.request, key / page});
          want = entry * stride + key % page;
          if (entry < 0 || want > INT32_MAX) want = -1;
        }
      }
      const int64_t got = row_integer(d.slots, t, {j});
      if (got != want) return text("row ", t, ": slots[", j, "] is ", got, ", must be ", want);
    }
  }
  if (is_width(d.values, width)) {
    for (int64_t j = 0; j < width; ++j) {
      unsigned char want[4];
      value_bits(j < count ? &expected.keys[size_t(j)] : nullptr, want);
      if (std::memcmp(row_address(d.values, t, {j}), want, size_t(value_bytes)) != 0) {
        return text("row ", t, ": values[", j, "] is ", row_number(d.values, t, {j}), ", must be ",
                    number_at(want, d.values.dtype));
      }
    }
  }
  if (given(d.cut_score)) {
    const double got = row_number(d.cut_score, t, {});
    if (!(got == expected.cut_score)) {
      return text("row ", t, ": cut_score is ", got, ", must be ", expected.cut_score);
    }
  }
  if (given(d.cut_index)) {
    const int64_t want = count > 0 ? as_index(expected.cut_index) : -1;
    const int64_t got = row_integer(d.cut_index, t, {});
    if (got != want) return text("row ", t, ": cut_index is ", got, ", must be ", want);
  }
  return "";
}

}  // namespace oracle
