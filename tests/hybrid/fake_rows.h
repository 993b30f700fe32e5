// One row of a call as a call of its own: the CPU's kernels know no ranges of rows.
#pragma once

#include "core/params.h"

namespace fake {

inline dsa::RowTensor one_row(const dsa::RowTensor& tensor, int64_t t) {
  dsa::RowTensor row = tensor;
  if (row.given()) row.data = tensor.row(t);
  row.split = 0;
  return row;
}

// A row's request and range, in memory that the parameters then point to.
struct RowNumbers {
  int32_t request, begin, end;
};

inline dsa::Rows one_row(const dsa::Rows& rows, int64_t t, RowNumbers& numbers) {
  const dsa::RowSpan span = rows.span(t);
  numbers = {span.request, span.begin, span.end};
  const auto number = [](int32_t& x) {
    dsa::RowTensor tensor;
    tensor.data = reinterpret_cast<char*>(&x);
    tensor.dtype = DSA_I32;
    tensor.bytes = 4;
    return tensor;
  };
  dsa::Rows row = rows;
  row.count = 1;
  row.per_request = 0;
  row.by = dsa::VisibleBy::kRange;
  row.row_request = number(numbers.request);
  row.row_begin = number(numbers.begin);
  row.row_end = number(numbers.end);
  row.seq_lens = nullptr;
  row.mask = one_row(rows.mask, t);
  return row;
}

inline dsa::IndexerParams one_row(const dsa::IndexerParams& p, int64_t t, RowNumbers& numbers) {
  dsa::IndexerParams row = p;
  row.rows = one_row(p.rows, t, numbers);
  row.q = one_row(p.q, t);
  row.w = one_row(p.w, t);
  row.q_scale = one_row(p.q_scale, t);
  return row;
}

inline dsa::SparseAttnParams one_row(const dsa::SparseAttnParams& p, int64_t t,
                                     RowNumbers (&numbers)[2]) {
  dsa::SparseAttnParams row = p;
  row.rows = 1;
  row.first_row = 0;
  for (int i = 0; i < p.scopes; ++i) {
    dsa::AttnScope& scope = row.scope[i];
    scope.rows = one_row(p.scope[i].rows, t, numbers[i]);
    for (dsa::RowTensor* tensor : {&scope.indices, &scope.counts, &scope.index_base, &scope.scores,
                                   &scope.cut_score, &scope.cut_index}) {
      *tensor = one_row(*tensor, t);
    }
  }
  for (dsa::RowTensor* tensor :
       {&row.q[0], &row.q[1], &row.q_scale, &row.out, &row.lse, &row.max}) {
    *tensor = one_row(*tensor, t);
  }
  return row;
}

}  // namespace fake
