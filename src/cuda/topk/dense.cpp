#include "cuda/topk/dense.h"

#include <algorithm>

#include "cuda/topk/key_range.h"

namespace dsa::cuda::topk {
namespace {

// Rows, and the offset of the first, whose sum is an int32.
constexpr int64_t kMostCausal = int64_t{1} << 29;

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
      return !rows.row_request.given() && rows.next_n == 1 && rows.ratio == 1 &&
             (rows.batch == 1 || rows.per_request == 1);
    case VisibleBy::kCausal:
      return rows.count <= kMostCausal && rows.offset >= -kMostCausal && rows.offset <= kMostCausal;
  }
  return false;
}

bool has_plain_outputs(const SelectParams& s) {
  return s.indices.given() && s.indices.split == 0 && s.indices.stride[0] == 1 &&
         s.indices.row_stride % 4 == 0 && !s.slots.given() && !s.values.given() &&
         !s.index_base.given() && !s.cut_score.given() && !s.cut_index.given() &&
         (!s.counts.given() || (s.counts.split == 0 && s.counts.row_stride % 4 == 0));
}

}  // namespace

DenseCall make_dense(const TopkCall& call) {
  const TopkParams& p = call.p;
  const SelectParams& s = p.select;
  DenseCall d = {};
  d.plain = has_plain_rows(call) && has_plain_outputs(s);
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
  if (p.rows.by == VisibleBy::kRange) {
    d.ends = p.rows.row_end.row(call.first_row);
    d.end_stride = p.rows.row_end.row_stride;
  } else if (p.rows.by == VisibleBy::kSeqLens) {
    d.end_stride = p.rows.batch == 1 ? 0 : p.rows.seq_lens_stride;
    d.ends = p.rows.seq_lens + call.first_row * d.end_stride;
  } else if (p.rows.by == VisibleBy::kCausal) {
    const int64_t per = p.rows.batch == 1 ? p.rows.count : p.rows.per_request;
    d.causal_rows = static_cast<int32_t>(std::max<int64_t>(per, 1));
    d.causal_row = static_cast<int32_t>(call.first_row % d.causal_rows);
    d.causal_end = static_cast<int32_t>(p.rows.offset + 1);
    d.causal_ratio = p.rows.ratio;
  }
  d.indices = s.indices.row_as<int32_t>(call.first_row);
  d.index_stride = s.indices.row_stride / 4;
  d.width = s.indices.extent[0];
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
  if (p.scores.stride[0] != 1 && p.scores.extent[0] > 1) return "scores that are not contiguous";
  if (p.rows.mask.given()) return "a mask";
  if (p.select.order == DSA_ORDER_SCORE && !p.select.cut_only()) return "DSA_ORDER_SCORE";
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
