// Compares the outputs of a selection with what section 7 of dsa.h says, for any descriptor that
// has them.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "oracle/text.h"
#include "oracle/topk.h"

namespace oracle {

// index_base: how key s of a row is written, and the inverse, both modulo 2^32.
template <class Desc>
uint32_t index_shift(const Desc& d, int64_t t, const Row& row) {
  if (!given(d.index_base)) return 0;
  return uint32_t(row_integer(d.index_base, t, {})) - uint32_t(row.begin);
}

// The first `count` indices as candidates, in the order written. "" or why they cannot be right.
template <class Desc>
std::string read_selected(const Desc& d, int64_t t, const Row& row,
                          const std::vector<Candidate>& candidates, int64_t count,
                          std::vector<Candidate>& out) {
  std::vector<uint8_t> seen(candidates.size());
  for (int64_t j = 0; j < count; ++j) {
    const int64_t index = row_integer(d.indices, t, {j});
    const int64_t key = int32_t(uint32_t(index) - index_shift(d, t, row));
    const auto at = std::lower_bound(candidates.begin(), candidates.end(), key,
                                     [](const Candidate& c, int64_t k) { return c.key < k; });
    if (at == candidates.end() || at->key != key) {
      return text("row ", t, ": indices[", j, "] is ", index, ", which cannot be selected");
    }
    if (seen[size_t(at - candidates.begin())]++) {
      return text("row ", t, ": indices[", j, "] is ", index, " again");
    }
    out.push_back(*at);
  }
  return "";
}

// `check_value(candidate, address)`: "" or what the value must be; nullptr for the padding.
template <class Desc, class CheckValue>
std::string check_selection(const Desc& d, int64_t t, const Row& row, const Selected& expected,
                            int64_t key_page_size, CheckValue&& check_value) {
  const auto as_index = [&](int64_t key) {
    return int64_t(int32_t(uint32_t(key) + index_shift(d, t, row)));
  };
  const int64_t count = int64_t(expected.keys.size());
  const auto width = [](const dsa_tensor& o) { return given(o) ? o.shape[o.ndim - 1] : 0; };
  if (given(d.counts) && row_integer(d.counts, t, {}) != count) {
    return text("row ", t, ": count is ", row_integer(d.counts, t, {}), ", must be ", count);
  }
  for (int64_t j = 0; j < width(d.indices); ++j) {
    const int64_t want = j < count ? as_index(expected.keys[size_t(j)].key) : -1;
    const int64_t got = row_integer(d.indices, t, {j});
    if (got != want) return text("row ", t, ": indices[", j, "] is ", got, ", must be ", want);
  }
  const dsa_tensor& table = given(d.slot_table) ? d.slot_table : d.block_table;
  const int64_t page = d.slot_page_size > 0 ? d.slot_page_size : key_page_size;
  const int64_t stride = d.slot_page_stride > 0 ? d.slot_page_stride : page;
  for (int64_t j = 0; j < width(d.slots); ++j) {
    int64_t want = -1;
    if (j < count) {
      const int64_t key = expected.keys[size_t(j)].key;
      const int64_t entry =
          key / page < table.shape[1] ? integer(table, {row.request, key / page}) : -1;
      const int64_t slot = entry * stride + key % page;
      if (entry >= 0 && slot <= INT32_MAX) want = slot;
    }
    const int64_t got = row_integer(d.slots, t, {j});
    if (got != want) return text("row ", t, ": slots[", j, "] is ", got, ", must be ", want);
  }
  for (int64_t j = 0; j < width(d.values); ++j) {
    const Candidate* key = j < count ? &expected.keys[size_t(j)] : nullptr;
    const std::string wrong = check_value(key, row_address(d.values, t, {j}));
    if (!wrong.empty()) return text("row ", t, ": values[", j, "] ", wrong);
  }
  if (given(d.cut_score) && !(row_number(d.cut_score, t, {}) == expected.cut_score)) {
    return text("row ", t, ": cut_score is ", row_number(d.cut_score, t, {}), ", must be ",
                expected.cut_score);
  }
  if (given(d.cut_index)) {
    const int64_t want = count > 0 ? as_index(expected.cut_index) : -1;
    const int64_t got = row_integer(d.cut_index, t, {});
    if (got != want) return text("row ", t, ": cut_index is ", got, ", must be ", want);
  }
  return "";
}

}  // namespace oracle
