// The oracle's rows: request and visible keys, straight from section 5 of dsa.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "oracle/element.h"

namespace oracle {

// Caches as the oracle walks them: where key s of request r is, in which tensor.
struct Cache {
  int32_t layout = DSA_LAYOUT_ROWS;
  int64_t page_size = 0;  // of DSA_LAYOUT_PAGES
  int64_t pages = 0;
  int64_t keys = 0;  // positions a request can have
  dsa_tensor table{};
  // Index on the leading axes of key s; empty when a table entry lies outside the cache.
  std::vector<int64_t> find(int64_t request, int64_t s) const;
};

// `packed`: [pages, bytes], page size from the field.
Cache make_cache(int32_t layout, int32_t page_size, const dsa_tensor& keys, const dsa_tensor& table,
                 bool packed);

struct Row {
  int64_t request = 0;
  int64_t begin = 0;
  int64_t end = 0;
  std::vector<uint8_t> hidden;  // of keys begin .. end-1, by the mask
};

template <class Desc>
int64_t batch_of(const Desc& d, int64_t keys_batch) {
  if (d.batch > 0) return d.batch;
  if (given(d.block_table)) return d.block_table.shape[0];
  if (keys_batch > 0) return keys_batch;
  if (given(d.seq_lens)) return d.seq_lens.shape[0];
  return 1;
}

bool mask_hides(const dsa_tensor& mask, int64_t t, int64_t column);

// `limit`: positions a request can have; `columns`: of the scores, -1 without.
template <class Desc>
Row find_row(const Desc& d, int64_t t, int64_t rows, int64_t batch, int64_t limit,
             int64_t columns) {
  Row row;
  const int64_t per_request = given(d.row_request) ? 0 : rows / batch;
  row.request = given(d.row_request)
                    ? std::clamp<int64_t>(row_integer(d.row_request, t, {}), 0, batch - 1)
                    : t / per_request;
  const int64_t ratio = std::max(d.ratio, 1);
  row.end = limit;
  if (given(d.row_end)) {
    row.begin = given(d.row_begin) ? row_integer(d.row_begin, t, {}) : 0;
    row.end = row_integer(d.row_end, t, {});
  } else if (given(d.seq_lens)) {
    const int64_t n = d.next_n > 0 ? d.next_n : per_request;
    row.end = std::max<int64_t>(integer(d.seq_lens, {row.request}) - n + 1 + t % n, 0) / ratio;
  } else if (d.flags & DSA_CAUSAL) {
    row.end = std::max<int64_t>(d.offset + t % per_request + 1, 0) / ratio;
  }
  row.begin = std::clamp<int64_t>(row.begin, 0, limit);
  row.end = std::clamp<int64_t>(row.end, row.begin, limit);
  if (d.max_keys > 0) row.end = std::min(row.end, row.begin + d.max_keys);
  const bool from_begin = d.flags & DSA_COLUMNS_FROM_BEGIN;
  int64_t most = columns;
  if (given(d.mask)) {
    const int64_t extent = d.mask.shape[d.mask.ndim - 1];
    most = most < 0 ? extent : std::min(most, extent);
  }
  if (most >= 0) row.end = std::min(row.end, from_begin ? row.begin + most : most);
  row.begin = std::min(row.begin, row.end);
  for (int64_t s = row.begin; s < row.end; ++s) {
    row.hidden.push_back(given(d.mask) && mask_hides(d.mask, t, from_begin ? s - row.begin : s));
  }
  return row;
}

}  // namespace oracle
