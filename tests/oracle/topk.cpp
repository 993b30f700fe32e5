#include "oracle/topk.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "oracle/select_outputs.h"

namespace oracle {

Selected select(std::vector<Candidate> candidates, int32_t k, bool select_neg_inf, int32_t order) {
  std::vector<Candidate> able;
  for (const Candidate& c : candidates) {
    if (std::isnan(c.score)) continue;
    if (c.score == -std::numeric_limits<double>::infinity() && !select_neg_inf) continue;
    able.push_back(c);
  }
  std::stable_sort(able.begin(), able.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  if (able.size() > static_cast<size_t>(k)) able.resize(static_cast<size_t>(k));
  Selected out;
  out.cut_score = able.empty() ? std::numeric_limits<double>::infinity() : able.back().score;
  out.cut_index = able.empty() ? -1 : able.back().key;
  if (order != DSA_ORDER_SCORE) {
    std::sort(able.begin(), able.end(),
              [](const Candidate& a, const Candidate& b) { return a.key < b.key; });
  }
  out.keys = std::move(able);
  return out;
}

std::string check_topk(const dsa_topk_desc& d) {
  const int64_t rows = row_count(d.scores, 1);
  const int64_t columns = d.scores.shape[d.scores.ndim - 1];
  const bool from_begin = d.flags & DSA_COLUMNS_FROM_BEGIN;
  const int64_t batch = batch_of(d, given(d.slot_table) ? d.slot_table.shape[0] : 0);
  const int32_t bytes = d.scores.dtype == DSA_F32 ? 4 : 2;
  for (int64_t t = 0; t < rows; ++t) {
    const Row row = find_row(d, t, rows, batch, from_begin ? INT32_MAX : columns, columns);
    std::vector<Candidate> candidates;
    for (int64_t s = row.begin; s < row.end; ++s) {
      if (row.hidden[size_t(s - row.begin)]) continue;
      const int64_t column = from_begin ? s - row.begin : s;
      candidates.push_back({s, row_number(d.scores, t, {column}), column});
    }
    const Selected expected = select(candidates, d.k, d.flags & DSA_SELECT_NEG_INF, d.order);
    const auto bits = [&](const Candidate* c, unsigned char* out) {
      if (c) {
        std::memcpy(out, row_address(d.scores, t, {c->column}), size_t(bytes));
        return;
      }
      const uint32_t neg_inf = d.scores.dtype == DSA_F32    ? 0xff800000u
                               : d.scores.dtype == DSA_BF16 ? 0xff80u
                                                            : 0xfc00u;
      std::memcpy(out, &neg_inf, size_t(bytes));
    };
    const std::string wrong = check_selection(d, t, row, expected, d.page_size, bytes, bits);
    if (!wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace oracle
