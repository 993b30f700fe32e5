// The same call for one row alone: its request and range written out, outputs of its own.
#pragma once

#include <vector>

#include "oracle/indexer.h"
#include "oracle/rows.h"
#include "support/element.h"

namespace support {

// [1, ...]: row t of a tensor whose rows have `inner` axes.
inline void take_row(dsa_tensor& tensor, int inner, int64_t t) {
  if (tensor.ndim == 0) return;
  dsa_tensor row = tensor;
  row.data = oracle::row_address(tensor, t, std::vector<int64_t>(size_t(inner), 0));
  row.ndim = inner + 1;
  row.shape[0] = 1;
  row.stride[0] = 0;
  for (int i = 0; i < inner; ++i) {
    row.shape[i + 1] = tensor.shape[tensor.ndim - inner + i];
    row.stride[i + 1] = tensor.stride[tensor.ndim - inner + i];
  }
  for (int i = inner + 1; i < 5; ++i) row.shape[i] = row.stride[i] = 0;
  tensor = row;
}

// Memory of the row's outputs and its three integers.
struct OneRow {
  std::vector<std::vector<unsigned char>> outputs;
  int32_t request = 0, begin = 0, end = 0;

  // Replaces an output by dense memory of one row.
  void own(dsa_tensor& output, int inner, int64_t t) {
    if (output.ndim == 0) return;
    take_row(output, inner, t);
    int64_t bytes = dtype_bytes(output.dtype);
    for (int i = output.ndim - 1; i >= 0; --i) {
      output.stride[i] = bytes / dtype_bytes(output.dtype);
      bytes *= output.shape[i];
    }
    outputs.emplace_back(size_t(bytes) + 1);
    output.data = outputs.back().data();
  }
  // "" or which element of the whole call's output differs from the row's own.
  static bool same(dsa_tensor whole, const dsa_tensor& own, int inner, int64_t t) {
    if (whole.ndim == 0) return true;
    take_row(whole, inner, t);
    bool equal = true;
    each_element(whole, [&](const char* a, const int64_t* index) {
      const char* b = at(own, index);
      for (int64_t i = 0; i < dtype_bytes(own.dtype); ++i) equal = equal && a[i] == b[i];
    });
    return equal;
  }

  template <class Desc>
  void set_range(Desc& d, const oracle::Row& row, int64_t batch, int64_t t) {
    request = int32_t(row.request);
    begin = int32_t(row.begin);
    end = int32_t(row.end);
    d.batch = batch;
    d.flags &= ~uint64_t(DSA_CAUSAL);
    d.offset = d.next_n = d.ratio = 0;
    d.seq_lens = dsa_tensor{};
    d.row_request = dsa_tensor_1d(&request, DSA_I32, 1);
    d.row_begin = dsa_tensor_1d(&begin, DSA_I32, 1);
    d.row_end = dsa_tensor_1d(&end, DSA_I32, 1);
    take_row(d.mask, 1, t);
  }
};

template <class Desc>
void take_select_row(OneRow& one, Desc& d, int64_t t) {
  take_row(d.index_base, 0, t);
  take_row(d.hint_indices, 1, t);
  take_row(d.hint_bound, 0, t);
  one.own(d.indices, 1, t);
  one.own(d.slots, 1, t);
  one.own(d.values, 1, t);
  one.own(d.counts, 0, t);
  one.own(d.cut_score, 0, t);
  one.own(d.cut_index, 0, t);
}

template <class Desc>
bool same_selection(const Desc& whole, const Desc& own, int64_t t) {
  return OneRow::same(whole.indices, own.indices, 1, t) &&
         OneRow::same(whole.slots, own.slots, 1, t) &&
         OneRow::same(whole.values, own.values, 1, t) &&
         OneRow::same(whole.counts, own.counts, 0, t) &&
         OneRow::same(whole.cut_score, own.cut_score, 0, t) &&
         OneRow::same(whole.cut_index, own.cut_index, 0, t);
}

}  // namespace support
