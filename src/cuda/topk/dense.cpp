#include "cuda/topk/dense.h"

#include <algorithm>
#include <bit>

#include "cuda/topk/key_range.h"

namespace dsa::cuda::topk {
namespace {

// Rows, and the offset of the first, whose sum is an int32.
constexpr int64_t kMostCausal = int64_t{1} << 29;

// The row's number within a batch is its request's.
bool is_row_a_request(const Rows& rows) {
  return !rows.row_request.given() && (rows.batch == 1 || rows.per_request == 1);
}

// Rows whose visible keys begin at column 0 and end where an array says, or all at the same, or
// each one further than the one before.
bool has_plain_rows(const TopkCall& c) {
  const Rows& rows = c.p.rows;
  if (c.p.scores.split != 0) return false;
  switch (rows.by) {
    case VisibleBy::kAll:
      return true;
    case VisibleBy::kRange:
      return !rows.row_begin.given() && rows.row_end.split == 0;
    case VisibleBy::kSeqLens:
      return rows.ratio == 1 && rows.count <= kMostCausal &&
             (rows.next_n == 1 ? is_row_a_request(rows)
                               : rows.next_n == rows.per_request && !rows.row_request.given());
    case VisibleBy::kCausal:
      return rows.count <= kMostCausal && rows.offset >= -kMostCausal && rows.offset <= kMostCausal;
  }
  return false;
}

bool is_plain(const RowTensor& integers) {
  return integers.split == 0 && integers.row_stride % 4 == 0;
}

bool has_plain_outputs(const SelectParams& s, const Rows& rows) {
  if (s.cut_only() || s.index_base.given()) return false;
  if (s.cut_score.given() || s.cut_index.given()) return false;
  if (s.counts.given() && !is_plain(s.counts)) return false;
  for (const RowTensor* list : {&s.indices, &s.slots}) {
    if (list->given() && !(is_plain(*list) && list->stride[0] == 1)) return false;
  }
  if (s.values.given() && (s.values.split != 0 || s.values.stride[0] != 1)) return false;
  return !s.slots.given() ||
         (is_row_a_request(rows) && std::has_single_bit(static_cast<uint32_t>(s.slot_page_size)));
}

// Row `first_row`'s, and bytes from one row's to the next one's.
SlotTable slot_table(const SelectParams& s, const Rows& rows, int64_t first_row, int64_t& stride) {
  stride = rows.batch == 1 ? 0 : s.slot_table_request_stride;
  return {s.slot_table + first_row * stride, s.slot_table_page_stride, s.slot_table_pages,
          std::countr_zero(static_cast<uint32_t>(s.slot_page_size)), s.slot_page_stride};
}

}  // namespace

DenseCall make_dense(const TopkCall& call) {
  const TopkParams& p = call.p;
  const SelectParams& s = p.select;
  DenseCall d = {};
  d.plain = has_plain_rows(call) && has_plain_outputs(s, p.rows);
  d.emits = !s.cut_only();
  d.wants_cut = s.cut_score.given() || s.cut_index.given();
  d.length = static_cast<int32_t>(p.rows.max_length());
  d.k = s.k;
  d.lowest = lowest_key(s.select_neg_inf);
  d.dtype = p.scores.dtype;
  d.row_count = call.row_count;
  d.full = call;
  if (!d.plain) return d;
  d.scores = p.scores.row(call.first_row);
  d.score_stride = p.scores.row_stride;
  d.request_rows = 1;
  if (p.rows.by == VisibleBy::kRange) {
    d.ends = p.rows.row_end.row(call.first_row);
    d.end_stride = p.rows.row_end.row_stride;
  } else if (p.rows.by == VisibleBy::kSeqLens) {
    d.request_rows = p.rows.next_n;
    d.request_row = static_cast<int32_t>(call.first_row % d.request_rows);
    d.end_stride = p.rows.batch == 1 ? 0 : p.rows.seq_lens_stride;
    d.ends = p.rows.seq_lens + call.first_row / d.request_rows * d.end_stride;
  } else if (p.rows.by == VisibleBy::kCausal) {
    const int64_t per = p.rows.batch == 1 ? p.rows.count : p.rows.per_request;
    d.causal_rows = static_cast<int32_t>(std::max<int64_t>(per, 1));
    d.causal_row = static_cast<int32_t>(call.first_row % d.causal_rows);
    d.causal_end = static_cast<int32_t>(p.rows.offset + 1);
    d.causal_ratio = p.rows.ratio;
  }
  if (s.indices.given()) {
    d.indices = s.indices.row_as<int32_t>(call.first_row);
    d.index_stride = s.indices.row_stride / 4;
    d.width = s.indices.extent[0];
  }
  if (s.slots.given()) {
    d.slots = s.slots.row_as<int32_t>(call.first_row);
    d.slot_stride = s.slots.row_stride / 4;
    d.slot_width = s.slots.extent[0];
    d.table = slot_table(s, p.rows, call.first_row, d.table_stride);
  }
  if (s.values.given()) {
    d.values = s.values.row(call.first_row);
    d.value_stride = s.values.row_stride;
    d.value_width = s.values.extent[0];
  }
  if (s.counts.given()) {
    d.counts = s.counts.row_as<int32_t>(call.first_row);
    d.count_stride = s.counts.row_stride / 4;
  }
  return d;
}

int64_t most_places(const TopkCall& call) {
  const RowTensor& scores = call.p.scores;
  const bool any_begin = call.p.rows.row_begin.given() && !call.p.rows.columns_from_begin;
  const int64_t strides = reinterpret_cast<int64_t>(scores.data) | scores.row_stride |
                          (scores.split > 0 ? scores.outer_stride : 0);
  const bool aligned = !any_begin && strides % 16 == 0;
  return call.p.rows.max_length() + (aligned ? 0 : 16 / scores.bytes - 1);
}

const char* refuse_but_dense(const TopkCall& call, int32_t largest_k) {
  const TopkParams& p = call.p;
  if (p.select.k > largest_k) return "k above what fits into shared memory";
  if (p.rows.max_length() > INT32_MAX / 2) return "rows above 2^30";
  return nullptr;
}

cudaError_t most_shared_bytes(int32_t& bytes) {
  int device = 0;
  const cudaError_t error = cudaGetDevice(&device);
  if (error != cudaSuccess) return error;
  return cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
}

}  // namespace dsa::cuda::topk
