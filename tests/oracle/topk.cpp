#include "oracle/topk.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "oracle/select_outputs.h"

namespace oracle {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

bool before_by_score(const Candidate& a, const Candidate& b) {
  return a.score > b.score || (a.score == b.score && a.key < b.key);
}

bool before_by_key(const Candidate& a, const Candidate& b) { return a.key < b.key; }

std::vector<Candidate> candidates_of(const dsa_topk_desc& d, int64_t t, const Row& row) {
  std::vector<Candidate> out;
  for (int64_t s = row.begin; s < row.end; ++s) {
    if (row.hidden[size_t(s - row.begin)]) continue;
    const int64_t column = d.flags & DSA_COLUMNS_FROM_BEGIN ? s - row.begin : s;
    const double score = row_number(d.scores, t, {column});
    if (selectable(score, d.flags)) out.push_back({s, score, column});
  }
  return out;
}

// Where the descriptor leaves a choice (order or ties "any"), takes the choice that was made, if it
// is a right one.
std::string follow_choice(const dsa_topk_desc& d, int64_t t, const Row& row,
                          const std::vector<Candidate>& candidates, Selected& expected) {
  std::vector<Candidate> got;
  std::string wrong = read_selected(d, t, row, candidates, int64_t(expected.keys.size()), got);
  if (!wrong.empty()) return wrong;
  if (!in_order(got, d.order)) return text("row ", t, ": indices are not in order ", d.order);
  std::vector<Candidate> want = expected.keys, sorted = got;
  std::sort(want.begin(), want.end(), before_by_score);
  std::sort(sorted.begin(), sorted.end(), before_by_score);
  for (size_t j = 0; j < want.size(); ++j) {
    if (want[j].score != sorted[j].score) {
      return text("row ", t, ": the score of rank ", j, " is ", sorted[j].score, ", must be ",
                  want[j].score);
    }
    if (d.ties == DSA_TIES_SMALLER_INDEX && want[j].key != sorted[j].key) {
      return text("row ", t, ": key ", sorted[j].key, " is selected, must be ", want[j].key);
    }
  }
  expected.keys = got;
  return "";
}

}  // namespace

bool selectable(double score, uint64_t flags) {
  return !std::isnan(score) && (score != -kInf || flags & DSA_SELECT_NEG_INF);
}

Selected select(std::vector<Candidate> candidates, int32_t k, int32_t order) {
  std::sort(candidates.begin(), candidates.end(), before_by_score);
  if (candidates.size() > size_t(k)) candidates.resize(size_t(k));
  Selected out;
  out.cut_score = candidates.empty() ? kInf : candidates.back().score;
  out.cut_index = candidates.empty() ? -1 : candidates.back().key;
  if (order != DSA_ORDER_SCORE) std::sort(candidates.begin(), candidates.end(), before_by_key);
  out.keys = std::move(candidates);
  return out;
}

bool in_order(const std::vector<Candidate>& keys, int32_t order) {
  if (order == DSA_ORDER_INDEX) return std::is_sorted(keys.begin(), keys.end(), before_by_key);
  if (order == DSA_ORDER_SCORE) return std::is_sorted(keys.begin(), keys.end(), before_by_score);
  return true;
}

std::string check_topk(const dsa_topk_desc& d) {
  const int64_t rows = row_count(d.scores, 1);
  const int64_t columns = d.scores.shape[d.scores.ndim - 1];
  const bool from_begin = d.flags & DSA_COLUMNS_FROM_BEGIN;
  const int64_t batch = batch_of(d, given(d.slot_table) ? d.slot_table.shape[0] : 0);
  const size_t bytes = d.scores.dtype == DSA_F32 ? 4 : 2;
  const bool any = d.order == DSA_ORDER_ANY || d.ties == DSA_TIES_ANY;
  for (int64_t t = 0; t < rows; ++t) {
    const Row row = find_row(d, t, rows, batch, from_begin ? INT32_MAX : columns, columns);
    const std::vector<Candidate> candidates = candidates_of(d, t, row);
    Selected expected = select(candidates, d.k, d.order);
    if (any && given(d.indices)) {
      const std::string wrong = follow_choice(d, t, row, candidates, expected);
      if (!wrong.empty()) return wrong;
    }
    const auto check_value = [&](const Candidate* key, const char* at) -> std::string {
      const uint32_t neg_inf = d.scores.dtype == DSA_F32    ? 0xff800000u
                               : d.scores.dtype == DSA_BF16 ? 0xff80u
                                                            : 0xfc00u;
      const void* want = &neg_inf;
      if (key) want = row_address(d.scores, t, {key->column});
      if (std::memcmp(at, want, bytes) == 0) return "";
      return text("is ", number_at(at, d.values.dtype), ", must be ",
                  number_at(want, d.values.dtype));
    };
    const std::string wrong = check_selection(d, t, row, expected, d.page_size, check_value);
    if (!wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace oracle
