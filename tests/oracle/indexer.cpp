#include "oracle/indexer.h"

#include <cmath>
#include <limits>

#include "oracle/text.h"

namespace oracle {
namespace {

// Products, sums and the weighted sum each round once a step; 2 covers products rounded apart.
constexpr double kSlack = 2;
constexpr double kTiny = 1e-36;  // results near the smallest normal f32

std::string compare(double got, const Score& want, const IndexQuery& query, int32_t dtype) {
  if (std::isnan(want.value)) return std::isnan(got) ? "" : "must be NaN";
  if (std::isinf(want.value)) return got == want.value ? "" : text("must be ", want.value);
  double bound = score_bound(want, query);
  if (dtype == DSA_BF16) bound += unit(DSA_BF16) * (std::fabs(want.value) + bound);
  return std::fabs(got - want.value) <= bound ? ""
                                              : text("must be ", want.value, " within ", bound);
}

}  // namespace

double score_bound(const Score& want, const IndexQuery& query) {
  const double steps = double(query.dim + query.heads + 3);
  return (kSlack * steps * std::ldexp(1.0, -24) + query.product_unit) * want.magnitude + kTiny;
}

Score score_key(const IndexQuery& query, const KeyRow& key) {
  Score out{0, 0};
  for (int64_t h = 0; h < query.heads; ++h) {
    double dot = 0, size = 0;
    for (int64_t i = 0; i < query.dim; ++i) {
      const double product = query.q[size_t(h * query.dim + i)] * key.values[size_t(i)];
      dot += product;
      size += std::fabs(product);
    }
    dot *= query.scale[size_t(h)];
    const bool exact = query.relu && dot == -std::numeric_limits<double>::infinity();
    if (query.relu && dot < 0) dot = 0;
    out.value += query.w[size_t(h)] * dot;
    if (exact) continue;  // an infinite size says nothing of an error
    out.magnitude += std::fabs(query.w[size_t(h)] * query.scale[size_t(h)]) * size;
  }
  out.value *= key.scale;
  out.magnitude *= std::fabs(key.scale);
  return out;
}

std::string check_indexer(const dsa_indexer_desc& d, double untouched, double product_unit) {
  const int64_t rows = row_count(d.q, 2);
  const int64_t dim = d.q.shape[d.q.ndim - 1];
  const int64_t columns = d.scores.shape[d.scores.ndim - 1];
  const Cache cache = index_cache(d);
  const int64_t batch = batch_of(d, d.key_layout == DSA_LAYOUT_BATCH ? d.keys.shape[0] : 0);
  for (int64_t t = 0; t < rows; ++t) {
    const Row row = find_row(d, t, rows, batch, cache.keys, columns);
    const IndexQuery query = read_query(d, t, product_unit);
    for (int64_t column = 0; column < columns; ++column) {
      const int64_t s = d.flags & DSA_COLUMNS_FROM_BEGIN ? row.begin + column : column;
      const double got = row_number(d.scores, t, {column});
      KeyRow key;
      if (s >= row.begin && s < row.end && !row.hidden[size_t(s - row.begin)]) {
        key = find_key(d, cache, row.request, s, dim);
      }
      std::string wrong;
      if (key.visible) {
        wrong = compare(got, score_key(query, key), query, d.scores.dtype);
      } else {
        const double want =
            d.flags & DSA_KEEP_INVISIBLE ? untouched : -std::numeric_limits<double>::infinity();
        if (got != want) wrong = text("is not visible and must be ", want);
      }
      if (!wrong.empty()) return text("row ", t, " column ", column, ": ", got, " ", wrong);
    }
  }
  return "";
}

}  // namespace oracle
