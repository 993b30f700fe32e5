#include "oracle/indexer_topk.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "oracle/indexer.h"
#include "oracle/select_outputs.h"

namespace oracle {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// Keys of a row that can be selected, and by how much their f32 scores may be off.
struct Scored {
  std::vector<Candidate> candidates;
  std::vector<double> bounds;
  double bound_of(const Candidate& c) const {
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (candidates[i].key == c.key) return bounds[i];
    }
    return 0;
  }
};

Scored score_row(const dsa_indexer_topk_desc& d, const Cache& cache, const Row& row, int64_t t,
                 double product_unit) {
  Scored out;
  const IndexQuery query = read_query(d, t, product_unit);
  for (int64_t s = row.begin; s < row.end; ++s) {
    if (row.hidden[size_t(s - row.begin)]) continue;
    const KeyRow key = find_key(d, cache, row.request, s, query.dim);
    if (!key.visible) continue;
    const Score score = score_key(query, key);
    if (!selectable(score.value, d.flags)) continue;
    out.candidates.push_back({s, score.value, s});
    out.bounds.push_back(std::isinf(score.value) ? 0 : score_bound(score, query));
  }
  return out;
}

std::string check_choice(const dsa_indexer_topk_desc& d, const Scored& scored,
                         const std::vector<Candidate>& got) {
  if (d.order == DSA_ORDER_INDEX && !in_order(got, d.order)) return "indices do not ascend";
  double weakest = kInf;  // what the worst selected key can be at most
  for (size_t j = 0; j < got.size(); ++j) {
    weakest = std::min(weakest, got[j].score + scored.bound_of(got[j]));
    if (d.order == DSA_ORDER_SCORE && j > 0 &&
        got[j].score - scored.bound_of(got[j]) > got[j - 1].score + scored.bound_of(got[j - 1])) {
      return text("scores do not descend at ", j);
    }
  }
  for (size_t i = 0; i < scored.candidates.size(); ++i) {
    const Candidate& c = scored.candidates[i];
    const bool selected =
        std::any_of(got.begin(), got.end(), [&](const Candidate& g) { return g.key == c.key; });
    if (!selected && c.score - scored.bounds[i] > weakest) {
      return text("key ", c.key, " of score ", c.score, " is left out");
    }
  }
  return "";
}

}  // namespace

std::string check_indexer_topk(const dsa_indexer_topk_desc& d, double product_unit) {
  const int64_t rows = row_count(d.q, 2);
  const Cache cache = index_cache(d);
  const int64_t batch = batch_of(d, d.key_layout == DSA_LAYOUT_BATCH ? d.keys.shape[0] : 0);
  for (int64_t t = 0; t < rows; ++t) {
    const Row row = find_row(d, t, rows, batch, cache.keys, -1);
    const Scored scored = score_row(d, cache, row, t, product_unit);
    Selected expected = select(scored.candidates, d.k, d.order);
    const std::string where = text("row ", t, ": ");
    if (given(d.cut_score) && !expected.keys.empty()) {
      const double got = row_number(d.cut_score, t, {});
      double bound = 0;  // the k-th largest moves by no more than the scores do
      for (const double b : scored.bounds) bound = std::max(bound, b);
      if (!(got == expected.cut_score || std::fabs(got - expected.cut_score) <= bound)) {
        return text(where, "cut_score is ", got, ", must be ", expected.cut_score);
      }
      expected.cut_score = got;
    }
    if (!given(d.indices)) {
      const int64_t count = int64_t(expected.keys.size());
      if (given(d.counts) && row_integer(d.counts, t, {}) != count) {
        return text(where, "count is ", row_integer(d.counts, t, {}), ", must be ", count);
      }
      continue;
    }
    std::vector<Candidate> got;
    std::string wrong =
        read_selected(d, t, row, scored.candidates, int64_t(expected.keys.size()), got);
    if (!wrong.empty()) return wrong;
    wrong = check_choice(d, scored, got);
    if (!wrong.empty()) return where + wrong;
    expected.keys = got;
    if (given(d.cut_index) && !got.empty()) {
      const int64_t key =
          int32_t(uint32_t(row_integer(d.cut_index, t, {})) - index_shift(d, t, row));
      const auto at =
          std::find_if(got.begin(), got.end(), [&](const Candidate& c) { return c.key == key; });
      if (at == got.end()) return text(where, "cut_index is of key ", key, ", not selected");
      if (given(d.cut_score) && std::isfinite(at->score) &&
          std::fabs(expected.cut_score - at->score) > scored.bound_of(*at)) {
        return text(where, "cut_score is not the score of cut_index");
      }
      expected.cut_index = key;
    }
    const auto check_value = [&](const Candidate* key, const char* at) -> std::string {
      const double value = number_at(at, DSA_F32);
      const double want = key ? key->score : -kInf;
      if (value == want || (key && std::fabs(value - want) <= scored.bound_of(*key))) return "";
      return text("is ", value, ", must be ", want);
    };
    wrong = check_selection(d, t, row, expected, cache.page_size, check_value);
    if (!wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace oracle
