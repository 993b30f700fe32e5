// dsa_sparse_attn: validate, pick, run.
#include <cmath>

#include "api/attn_scope.h"
#include "api/dispatch.h"
#include "api/indexer_params.h"
#include "core/make_rows.h"

namespace dsa {
namespace {

constexpr const char* kOp = "sparse_attn";
constexpr int32_t kMaxHeads = 4096;

ScopeFields first_scope(const dsa_sparse_attn_desc& d, int64_t batch) {
  return {{kOp, "", d.key_layout, d.page_size, &d.block_table, batch,
           d.selection != DSA_SELECTION_SLOTS},
          d.key_format,
          d.selection,
          d.k,
          d.slot_page_size,
          d.slot_page_stride,
          &d.kv,
          &d.kv2,
          &d.v,
          &d.kv_scale,
          &d.v_scale,
          &d.indices,
          &d.counts};
}

ScopeFields second_scope(const dsa_sparse_attn_desc& d, int64_t batch) {
  return {{kOp, "_b", d.key_layout_b, d.page_size_b, &d.block_table_b, batch,
           d.selection_b != DSA_SELECTION_SLOTS},
          d.key_format_b,
          d.selection_b,
          d.k_b,
          d.slot_page_size_b,
          d.slot_page_stride_b,
          &d.kv_b,
          &d.kv2_b,
          &d.v_b,
          &d.kv_scale_b,
          &d.v_scale_b,
          &d.indices_b,
          &d.counts_b};
}

// Fields of the second scope that are set although there is none.
void check_no_second_scope(const dsa_sparse_attn_desc& d) {
  const NamedTensor tensors[] = {{"kv2_b", &d.kv2_b},
                                 {"v_b", &d.v_b},
                                 {"kv_scale_b", &d.kv_scale_b},
                                 {"v_scale_b", &d.v_scale_b},
                                 {"block_table_b", &d.block_table_b},
                                 {"row_begin_b", &d.row_begin_b},
                                 {"row_end_b", &d.row_end_b},
                                 {"indices_b", &d.indices_b},
                                 {"counts_b", &d.counts_b}};
  for (const NamedTensor& t : tensors) {
    if (given(*t.tensor)) fail(DSA_ERROR_INVALID, "%s.%s is given without kv_b", kOp, t.field);
  }
  if (d.k_b != 0) fail(DSA_ERROR_INVALID, "%s.k_b is %d without kv_b", kOp, d.k_b);
}

// What only some selection modes have, and what they need.
void set_mode(const dsa_sparse_attn_desc& d, int64_t rows, AttnScope& scope, CallKind call) {
  constexpr uint32_t kI32 = dtype_bit(DSA_I32);
  scope.index_base = row_tensor({kOp, "index_base", kI32}, d.index_base, 0, rows, call);
  if (d.index_block < 0) {
    fail(DSA_ERROR_INVALID, "%s.index_block is %d, must be >= 0", kOp, d.index_block);
  }
  scope.index_block = d.index_block == 0 ? 1 : d.index_block;
  scope.block_tail = (d.flags & DSA_BLOCK_TAIL) != 0;
  scope.select_neg_inf = (d.flags & DSA_SELECT_NEG_INF) != 0;
  if ((scope.index_block > 1 || scope.block_tail) && d.selection != DSA_SELECTION_INDICES) {
    fail(DSA_ERROR_INVALID, "%s.index_block is %d (DSA_BLOCK_TAIL %d), but the selection is %d",
         kOp, d.index_block, scope.block_tail ? 1 : 0, d.selection);
  }
  const bool cut = d.selection == DSA_SELECTION_CUT;
  const NamedTensor fields[] = {
      {"scores", &d.scores}, {"cut_score", &d.cut_score}, {"cut_index", &d.cut_index}};
  for (const NamedTensor& f : fields) {
    if (given(*f.tensor) != cut) {
      fail(DSA_ERROR_INVALID,
           cut ? "%s.%s is needed with DSA_SELECTION_CUT"
               : "%s.%s is given, but the selection is not DSA_SELECTION_CUT",
           kOp, f.field);
    }
  }
  if (cut) {
    scope.scores = row_tensor({kOp, "scores", kFloatDtypes}, d.scores, 1, rows, call);
    scope.cut_score =
        row_tensor({kOp, "cut_score", dtype_bit(DSA_F32)}, d.cut_score, 0, rows, call);
    scope.cut_index = row_tensor({kOp, "cut_index", kI32}, d.cut_index, 0, rows, call);
  }
  if (d.selection == DSA_SELECTION_SLOTS && given(d.mask)) {
    fail(DSA_ERROR_INVALID, "%s.mask is given, but slots carry no position", kOp);
  }
}

Rows second_rows(const dsa_sparse_attn_desc& d, const Rows& first, int64_t capacity,
                 CallKind call) {
  constexpr uint32_t kI32 = dtype_bit(DSA_I32);
  Rows rows;
  rows.count = first.count;
  rows.batch = first.batch;
  rows.per_request = first.per_request;
  rows.row_request = first.row_request;
  rows.key_limit = capacity;
  rows.row_begin = row_tensor({kOp, "row_begin_b", kI32}, d.row_begin_b, 0, first.count, call);
  rows.row_end = row_tensor({kOp, "row_end_b", kI32}, d.row_end_b, 0, first.count, call);
  if (rows.row_begin.given() && !rows.row_end.given()) {
    fail(DSA_ERROR_INVALID, "%s.row_begin_b is given without row_end_b", kOp);
  }
  if (rows.row_end.given()) rows.by = VisibleBy::kRange;
  return rows;
}

// Query parts that match the pieces of both scopes.
void set_queries(const dsa_sparse_attn_desc& d, int64_t rows, int32_t split, SparseAttnParams& p,
                 CallKind call) {
  const TensorRule q_rule{kOp, "q", kKeyDtypes};
  const TensorRule q2_rule{kOp, "q2", kKeyDtypes};
  p.q[0] = row_tensor(q_rule, d.q, 2, rows, call);
  p.q[1] = row_tensor(q2_rule, d.q2, 2, rows, call);
  p.q_scale = make_row_head_scale(kOp, "q_scale", d.q_scale, rows, p.heads, call);
  if (p.q[1].given()) check_extent(q2_rule, d.q2, -2, p.heads, "the number of heads");
  if (split > 0) {
    RowTensor& first = p.q[0];
    RowTensor& second = p.q[1];
    second = first;
    if (second.data) second.data += int64_t{split} * first.stride[1] * first.bytes;
    second.extent[1] = first.extent[1] - split;
    first.extent[1] = split;
    p.q_scale_second = true;
  }
  const int32_t pieces = p.q[1].given() ? 2 : 1;
  for (int32_t s = 0; s < p.scopes; ++s) {
    const AttnScope& scope = p.scope[s];
    const char* suffix = s == 0 ? "" : "_b";
    if (scope.pieces != pieces) {
      fail(DSA_ERROR_INVALID, "%s: q2 is %s, kv2%s is %s", kOp, given(d.q2) ? "given" : "not given",
           suffix, scope.pieces == 2 ? "given" : "not given");
    }
    for (int32_t i = 0; i < pieces; ++i) {
      if (scope.piece[i].values.width != p.q[i].extent[1]) {
        fail(DSA_ERROR_INVALID, "%s.%s%s has a head dim of %d, %s has %lld", kOp,
             i == 0 || split > 0 ? "kv" : "kv2", suffix, scope.piece[i].values.width,
             i == 0 || split > 0 ? "q" : "q2", static_cast<long long>(p.q[i].extent[1]));
      }
    }
  }
}

}  // namespace

SparseAttnParams make_params(const dsa_sparse_attn_desc& d, CallKind call) {
  check_flags(kOp, d.flags,
              DSA_CAUSAL | DSA_COLUMNS_FROM_BEGIN | DSA_SELECT_NEG_INF | DSA_BLOCK_TAIL |
                  DSA_LSE_BASE2 | DSA_LSE_WITH_SINK | DSA_LSE_EMPTY_POS_INF);
  SparseAttnParams p;
  if (!(std::isfinite(d.scale) && d.scale != 0)) {
    fail(DSA_ERROR_INVALID, "%s.scale is %g, must be finite and not 0", kOp,
         static_cast<double>(d.scale));
  }
  if (d.selection < DSA_SELECTION_INDICES || d.selection > DSA_SELECTION_ALL) {
    fail(DSA_ERROR_INVALID, "%s.selection is %d, must be 0 to 3", kOp, d.selection);
  }
  p.scale = d.scale;
  check_tensor({kOp, "q", kKeyDtypes}, d.q, 3, 4, call);
  const int64_t rows = row_count(d.q, 2);
  const int64_t heads = d.q.shape[d.q.ndim - 2];
  if (heads < 1 || heads > kMaxHeads) {
    fail(DSA_ERROR_INVALID, "%s.q.shape[%d] is %lld heads, must be 1 to %d", kOp, d.q.ndim - 2,
         static_cast<long long>(heads), kMaxHeads);
  }
  p.rows = rows;
  p.heads = static_cast<int32_t>(heads);

  const TensorRule out_rule{kOp, "out", kFloatDtypes, true};
  p.out = row_tensor(out_rule, d.out, 2, rows, call);
  p.lse = row_tensor({kOp, "lse", dtype_bit(DSA_F32), true}, d.lse, 1, rows, call);
  p.max = row_tensor({kOp, "max", dtype_bit(DSA_F32), true}, d.max, 1, rows, call);
  if (!p.out.given() && !p.lse.given() && !p.max.given()) {
    fail(DSA_ERROR_INVALID, "%s: no output is given (out, lse, max)", kOp);
  }
  if (p.out.given()) {
    check_extent(out_rule, d.out, -2, heads, "the number of heads");
    if (p.out.extent[1] < 1 || p.out.extent[1] > kMaxHeadDim) {
      fail(DSA_ERROR_INVALID, "%s.out.shape[%d] is a value dim of %lld, must be 1 to %d", kOp,
           d.out.ndim - 1, static_cast<long long>(p.out.extent[1]), kMaxHeadDim);
    }
    p.value_dim = static_cast<int32_t>(p.out.extent[1]);
  }
  if (p.lse.given()) check_extent({kOp, "lse", 0}, d.lse, -1, heads, "the number of heads");
  if (p.max.given()) check_extent({kOp, "max", 0}, d.max, -1, heads, "the number of heads");

  const int64_t from_keys = keys_batch(kOp, "kv", d.key_layout, d.kv);
  const int64_t batch = resolve_batch(kOp, d, from_keys, "kv.shape[0]");
  const bool two_scopes = given(d.kv_b);
  // Packed rows are two pieces; then q and plain keys beside them are cut in the same place.
  const bool packed = d.key_format == DSA_FORMAT_KV_FP8_656 ||
                      (two_scopes && d.key_format_b == DSA_FORMAT_KV_FP8_656);
  if (packed && given(d.q2)) fail(DSA_ERROR_INVALID, "%s.q2 does not go with KV_FP8_656", kOp);
  if (packed && d.q.shape[d.q.ndim - 1] != kPackedFp8Width + kPackedBf16Width) {
    fail(DSA_ERROR_INVALID, "%s.q.shape[%d] is %lld, KV_FP8_656 has 576", kOp, d.q.ndim - 1,
         static_cast<long long>(d.q.shape[d.q.ndim - 1]));
  }
  const int32_t split = packed ? kPackedFp8Width : 0;

  AttnScope& first = p.scope[0];
  first = make_scope(first_scope(d, batch), rows, p.heads, p.value_dim, split, call);
  set_mode(d, rows, first, call);
  const int64_t columns = first.scores.given() ? first.scores.extent[0] : -1;
  first.rows = make_rows(kOp, d, rows, batch, first.axis.capacity, columns, call);
  if (two_scopes) {
    if (d.selection_b == DSA_SELECTION_CUT || d.selection_b < DSA_SELECTION_INDICES ||
        d.selection_b > DSA_SELECTION_ALL) {
      fail(DSA_ERROR_INVALID, "%s.selection_b is %d, must be 0 (indices), 1 (slots) or 3 (all)",
           kOp, d.selection_b);
    }
    keys_batch(kOp, "kv_b", d.key_layout_b, d.kv_b);
    p.scopes = 2;
    p.scope[1] = make_scope(second_scope(d, batch), rows, p.heads, p.value_dim, split, call);
    p.scope[1].rows = second_rows(d, first.rows, p.scope[1].axis.capacity, call);
  } else {
    check_no_second_scope(d);
  }
  set_queries(d, rows, split, p, call);

  if (given(d.sink)) {
    const TensorRule rule{kOp, "sink", dtype_bit(DSA_F32)};
    check_tensor(rule, d.sink, 1, 1, call);
    check_extent(rule, d.sink, 0, heads, "the number of heads");
    p.sink = static_cast<const char*>(d.sink.data);
    p.sink_stride = d.sink.stride[0] * 4;
  }
  p.lse_base2 = (d.flags & DSA_LSE_BASE2) != 0;
  p.lse_with_sink = (d.flags & DSA_LSE_WITH_SINK) != 0;
  p.lse_empty_pos_inf = (d.flags & DSA_LSE_EMPTY_POS_INF) != 0;
  if (call.needs_data) {
    check_distinct(kOp, {{"out", &d.out}, {"lse", &d.lse}, {"max", &d.max}},
                   {{"q", &d.q},
                    {"q2", &d.q2},
                    {"kv", &d.kv},
                    {"kv2", &d.kv2},
                    {"v", &d.v},
                    {"kv_b", &d.kv_b},
                    {"scores", &d.scores},
                    {"sink", &d.sink}});
  }
  return p;
}

}  // namespace dsa

dsa_status dsa_sparse_attn(dsa_ctx* ctx, const dsa_sparse_attn_desc* desc, const dsa_exec* exec) {
  return dsa::run_operation(ctx, "sparse_attn", DSA_OP_SPARSE_ATTN, desc, exec);
}
