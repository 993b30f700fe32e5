// One row of a top-k call: its scores as they come, and its outputs. Key j of a row is the j-th
// visible one: position span.begin + j.
#pragma once

#include "core/params.h"
#include "cuda/element.cuh"
#include "cuda/topk/dense.h"
#include "cuda/topk/key.cuh"

namespace dsa::cuda::topk {

// Scores of any dtype and stride, with a mask or without.
struct RowScores {
  const TopkParams& p;
  const int64_t t;
  const RowSpan span;
  const int32_t n;
  const char* first;  // score of key 0
  const uint32_t lowest;

  __device__ RowScores(const TopkParams& params, int64_t row)
      : p(params),
        t(row),
        span(params.rows.span(row)),
        n(span.end - span.begin),
        first(params.scores.row(row) +
              params.rows.column(span, span.begin) * params.scores.stride[0] * params.scores.bytes),
        lowest(lowest_key(params.select.select_neg_inf)) {}

  __device__ uint32_t key(int32_t j) const {
    if (p.rows.hidden(t, span, int64_t{span.begin} + j)) return kNoKey;
    return selectable_key(score(j), lowest);
  }
  __device__ float score(int32_t j) const {
    return load_element(first, p.scores.dtype, j * p.scores.stride[0]);
  }
};

__device__ inline int32_t slot_of(const SlotTable& table, int32_t s) {
  const int32_t page = s >> table.page_shift;
  if (page >= table.count) return -1;
  const int32_t entry =
      __ldg(reinterpret_cast<const int32_t*>(table.pages + page * table.page_stride));
  const int64_t slot = int64_t{entry} * table.slot_stride + (s & ((1 << table.page_shift) - 1));
  return entry < 0 || slot > INT32_MAX ? -1 : static_cast<int32_t>(slot);
}

// Where a row's selection goes.
class RowOutput {
 public:
  __device__ RowOutput(const TopkParams& p, const RowScores& row)
      : select_(p.select),
        row_(row),
        first_index_(p.select.to_index(row.t, row.span, row.span.begin)) {
    if (select_.indices.given()) indices_ = select_.indices.row_as<int32_t>(row.t);
    if (select_.slots.given()) {
      slots_ = select_.slots.row_as<int32_t>(row.t);
      const int32_t page = select_.slot_page_size;
      has_table_ = (page & (page - 1)) == 0;
      table_ = {select_.slot_table + row.span.request * select_.slot_table_request_stride,
                select_.slot_table_page_stride, select_.slot_table_pages, 31 - __clz(page),
                select_.slot_page_stride};
    }
    if (select_.values.given()) values_ = select_.values.row(row.t);
  }

  // Key j is the selection's element `at`.
  __device__ void write(int32_t at, int32_t j) const {
    if (indices_) indices_[at * select_.indices.stride[0]] = index(j);
    if (slots_) {
      slots_[at * select_.slots.stride[0]] = slot(row_.span.begin + j);
    }
    if (values_) copy_value(at, j);
  }

  // What lies past the selection. By all threads of a block (or a warp: `thread` of `threads`).
  __device__ void fill(int32_t count, int32_t thread, int32_t threads) const {
    if (indices_) fill_integers(indices_, select_.indices, count + thread, threads);
    if (slots_) fill_integers(slots_, select_.slots, count + thread, threads);
    if (!values_) return;
    for (int64_t at = count + thread; at < select_.values.extent[0]; at += threads) {
      store_element(values_, select_.values.dtype, at * select_.values.stride[0],
                    -__builtin_inff());
    }
  }

  __device__ void write_count(int32_t count) const {
    if (select_.counts.given()) *select_.counts.row_as<int32_t>(row_.t) = count;
  }
  // Key j is the last one selected; none of an empty row.
  __device__ void write_cut(int32_t j) const { write_cut(row_.score(j), index(j)); }
  __device__ void write_no_cut() const { write_cut(__builtin_inff(), -1); }
  __device__ bool wants_cut() const {
    return select_.cut_score.given() || select_.cut_index.given();
  }

 private:
  __device__ int32_t index(int32_t j) const {
    return static_cast<int32_t>(static_cast<uint32_t>(first_index_) + static_cast<uint32_t>(j));
  }
  __device__ int32_t slot(int32_t s) const {
    return has_table_ ? slot_of(table_, s) : select_.to_slot(row_.span.request, s);
  }
  __device__ void write_cut(float score, int32_t index) const {
    if (select_.cut_score.given()) *select_.cut_score.row_as<float>(row_.t) = score;
    if (select_.cut_index.given()) *select_.cut_index.row_as<int32_t>(row_.t) = index;
  }
  // The score's own bits.
  __device__ void copy_value(int32_t at, int32_t j) const {
    const int64_t from = j * row_.p.scores.stride[0];
    const int64_t to = at * select_.values.stride[0];
    if (row_.p.scores.bytes == 4) {
      reinterpret_cast<uint32_t*>(values_)[to] =
          reinterpret_cast<const uint32_t*>(row_.first)[from];
    } else {
      reinterpret_cast<uint16_t*>(values_)[to] =
          reinterpret_cast<const uint16_t*>(row_.first)[from];
    }
  }
  __device__ static void fill_integers(int32_t* out, const RowTensor& tensor, int64_t at,
                                       int32_t threads) {
    for (; at < tensor.extent[0]; at += threads) out[at * tensor.stride[0]] = -1;
  }

  const SelectParams& select_;
  const RowScores& row_;
  const int32_t first_index_;
  int32_t* indices_ = nullptr;
  int32_t* slots_ = nullptr;
  bool has_table_ = false;
  SlotTable table_ = {};
  char* values_ = nullptr;
};

}  // namespace dsa::cuda::topk
