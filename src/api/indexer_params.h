// The fields of an indexer (queries, index keys, weights, scales), shared by dsa_indexer and
// dsa_indexer_topk.
#pragma once

#include "api/descriptor.h"
#include "core/error.h"
#include "core/make_keys.h"
#include "core/make_rows.h"
#include "core/params.h"

namespace dsa {

inline constexpr int32_t kMaxIndexerHeads = 1024;
inline constexpr int32_t kMaxHeadDim = 1024;

// [1] (all strides zero) or [T, H].
RowTensor make_row_head_scale(const char* op, const char* field, const dsa_tensor& scale,
                              int64_t rows, int32_t heads, CallKind call);

// Index keys, plain or KEY_PAGE_132, with their scales. Sets axis and keys.
void make_index_keys(const char* op, const CacheFields& fields, int32_t key_format,
                     const dsa_tensor& keys, const dsa_tensor& k_scale, int32_t dim, CallKind call,
                     IndexerParams& out);

// `columns`: of the score matrix, -1 where there is none.
template <class Desc>
IndexerParams make_indexer(const char* op, const Desc& d, int64_t columns, CallKind call) {
  const TensorRule q_rule{op, "q", kKeyDtypes};
  check_tensor(q_rule, d.q, 3, 4, call);
  const int64_t count = row_count(d.q, 2);
  IndexerParams p;
  p.q = row_tensor(q_rule, d.q, 2, count, call);
  if (p.q.extent[0] < 1 || p.q.extent[0] > kMaxIndexerHeads) {
    fail(DSA_ERROR_INVALID, "%s.q.shape[%d] is %lld heads, must be 1 to %d", op, d.q.ndim - 2,
         static_cast<long long>(p.q.extent[0]), kMaxIndexerHeads);
  }
  if (p.q.extent[1] < 1 || p.q.extent[1] > kMaxHeadDim) {
    fail(DSA_ERROR_INVALID, "%s.q.shape[%d] is a head dim of %lld, must be 1 to %d", op,
         d.q.ndim - 1, static_cast<long long>(p.q.extent[1]), kMaxHeadDim);
  }
  p.heads = static_cast<int32_t>(p.q.extent[0]);
  p.dim = static_cast<int32_t>(p.q.extent[1]);
  const TensorRule w_rule{op, "w", kFloatDtypes};
  p.w = row_tensor(w_rule, d.w, 1, count, call);
  if (p.w.given()) check_extent(w_rule, d.w, -1, p.heads, "the number of heads");
  p.q_scale = make_row_head_scale(op, "q_scale", d.q_scale, count, p.heads, call);
  p.relu = (d.flags & DSA_NO_RELU) == 0;
  reject_reserved(op, "shard_rank", d.shard_rank);
  reject_reserved(op, "shard_ranks", d.shard_ranks);
  reject_reserved(op, "shard_interleave", d.shard_interleave);

  const int64_t from_keys = keys_batch(op, "keys", d.key_layout, d.keys);
  const int64_t batch = resolve_batch(op, d, from_keys, "keys.shape[0]");
  const CacheFields fields{op, "", d.key_layout, d.page_size, &d.block_table, batch, true};
  make_index_keys(op, fields, d.key_format, d.keys, d.k_scale, p.dim, call, p);
  p.rows = make_rows(op, d, count, batch, p.axis.capacity, columns, call);
  return p;
}

}  // namespace dsa
