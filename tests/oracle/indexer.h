// The scores of dsa_indexer in double, and how far f32 kernels may be from them.
#pragma once

#include <string>
#include <vector>

#include "oracle/rows.h"

namespace oracle {

struct Score {
  double value;
  double magnitude;  // |k_scale| sum_h |w| sum_d |q k|: what rounding errors are relative to
};

// Index keys of one request at one position: values times nothing, and the scale.
struct KeyRow {
  bool visible = false;
  std::vector<double> values;
  double scale = 1;
};

template <class Desc>
KeyRow find_key(const Desc& d, const Cache& cache, int64_t request, int64_t s, int64_t dim) {
  KeyRow key;
  const std::vector<int64_t> at = cache.find(request, s);
  if (at.empty()) return key;
  key.visible = true;
  if (d.key_format == DSA_FORMAT_KEY_PAGE_132) {
    const char* page = address(d.keys, {at[0]});
    const int64_t row = at[1];
    for (int64_t i = 0; i < dim; ++i) {
      key.values.push_back(number_at(page + row * dim + i, DSA_F8_E4M3FN));
    }
    key.scale = number_at(page + cache.page_size * dim + 4 * row, DSA_F32);
    return key;
  }
  std::vector<int64_t> index = at;
  index.push_back(0);
  for (int64_t i = 0; i < dim; ++i) {
    index.back() = i;
    key.values.push_back(number(d.keys, index));
  }
  if (given(d.k_scale)) {
    const bool one = d.k_scale.ndim == 1 && d.k_scale.shape[0] == 1;
    key.scale = one ? number(d.k_scale, {0}) : number(d.k_scale, at);
  }
  return key;
}

template <class Desc>
Cache index_cache(const Desc& d) {
  return make_cache(d.key_layout, d.page_size, d.keys, d.block_table,
                    d.key_format == DSA_FORMAT_KEY_PAGE_132);
}

// One query row with its scales and weights.
struct IndexQuery {
  int64_t heads = 0, dim = 0;
  std::vector<double> q;  // [heads, dim]
  std::vector<double> scale, w;
  bool relu = true;
  double product_unit = 0;  // error of q . k relative to sum |q k|, beyond that of f32 sums
};

template <class Desc>
IndexQuery read_query(const Desc& d, int64_t t, double product_unit) {
  IndexQuery query;
  query.product_unit = product_unit;
  query.heads = d.q.shape[d.q.ndim - 2];
  query.dim = d.q.shape[d.q.ndim - 1];
  query.relu = !(d.flags & DSA_NO_RELU);
  for (int64_t h = 0; h < query.heads; ++h) {
    for (int64_t i = 0; i < query.dim; ++i) query.q.push_back(row_number(d.q, t, {h, i}));
    query.scale.push_back(!given(d.q_scale)     ? 1
                          : d.q_scale.ndim == 1 ? number(d.q_scale, {0})
                                                : row_number(d.q_scale, t, {h}));
    query.w.push_back(given(d.w) ? row_number(d.w, t, {h}) : 1);
  }
  return query;
}

Score score_key(const IndexQuery& query, const KeyRow& key);

// How far an f32 score may be from `want`.
double score_bound(const Score& want, const IndexQuery& query);

// Where the keys lie that any row sees: indices on the cache's leading axes.
template <class Desc>
std::vector<std::vector<int64_t>> seen_places(const Desc& d, int64_t columns) {
  const Cache cache = index_cache(d);
  const int64_t batch = batch_of(d, d.key_layout == DSA_LAYOUT_BATCH ? d.keys.shape[0] : 0);
  const int64_t rows = row_count(d.q, 2);
  std::vector<std::vector<int64_t>> all;
  for (int64_t t = 0; t < rows; ++t) {
    const Row row = find_row(d, t, rows, batch, cache.keys, columns);
    for (int64_t s = row.begin; s < row.end; ++s) {
      if (row.hidden[size_t(s - row.begin)]) continue;
      std::vector<int64_t> at = cache.find(row.request, s);
      if (!at.empty()) all.push_back(std::move(at));
    }
  }
  return all;
}

// "" or the first score outside the bound |I - ref| <= c (Di + Hi) 2^-24 magnitude (plus the
// output's rounding, and product_unit magnitude: 0 for kernels that add products in f32).
// `untouched`: what invisible columns held before, under DSA_KEEP_INVISIBLE.
std::string check_indexer(const dsa_indexer_desc& d, double untouched, double product_unit = 0);

}  // namespace oracle
