// The fields of a selection (k, policies, slots, hints, outputs), shared by dsa_topk and
// dsa_indexer_topk.
#pragma once

#include "api/descriptor.h"
#include "core/error.h"
#include "core/params.h"

namespace dsa {

// `key_page_size`: page size of the keys' own block table, 0 where unknown.
template <class Desc>
SelectParams make_select(const char* op, const Desc& d, const Rows& rows, int32_t values_dtype,
                         int64_t key_page_size, CallKind call) {
  constexpr uint32_t kI32 = dtype_bit(DSA_I32);
  constexpr uint32_t kF32 = dtype_bit(DSA_F32);
  const int64_t count = rows.count;
  SelectParams s;
  if (d.k < 1) {
    fail(DSA_ERROR_INVALID,
         "%s.k is %d, must be >= 1 (to attend to all visible keys use dsa_sparse_attn with "
         "DSA_SELECTION_ALL)",
         op, d.k);
  }
  if (d.order < DSA_ORDER_INDEX || d.order > DSA_ORDER_ANY) {
    fail(DSA_ERROR_INVALID, "%s.order is %d, must be 0 to 2", op, d.order);
  }
  if (d.ties < DSA_TIES_SMALLER_INDEX || d.ties > DSA_TIES_ANY) {
    fail(DSA_ERROR_INVALID, "%s.ties is %d, must be 0 or 1", op, d.ties);
  }
  reject_reserved(op, "force_first", d.force_first);
  reject_reserved(op, "force_last", d.force_last);
  reject_reserved(op, "select_block", d.select_block);
  reject_reserved(op, "shard_rank", d.shard_rank);
  reject_reserved(op, "shard_ranks", d.shard_ranks);
  reject_reserved(op, "shard_interleave", d.shard_interleave);
  reject_reserved(op, "candidates", d.candidates);
  reject_reserved(op, "candidate_blocks", d.candidate_blocks);
  s.k = d.k;
  s.order = d.order;
  s.ties = d.ties;
  s.select_neg_inf = (d.flags & DSA_SELECT_NEG_INF) != 0;
  s.index_base = row_tensor({op, "index_base", kI32}, d.index_base, 0, count, call);
  s.hint_indices = row_tensor({op, "hint_indices", kI32}, d.hint_indices, 1, count, call);
  s.hint_bound = row_tensor({op, "hint_bound", kF32}, d.hint_bound, 0, count, call);

  const auto output = [&](const char* field, const dsa_tensor& t, uint32_t dtypes) {
    const TensorRule rule{op, field, dtypes, true};
    const RowTensor view = row_tensor(rule, t, 1, count, call);
    if (view.given() && view.extent[0] < d.k) {
      fail(DSA_ERROR_INVALID, "%s.%s.shape[%d] is %lld, k is %d", op, field, t.ndim - 1,
           static_cast<long long>(view.extent[0]), d.k);
    }
    return view;
  };
  s.indices = output("indices", d.indices, kI32);
  s.slots = output("slots", d.slots, kI32);
  s.values = output("values", d.values, dtype_bit(values_dtype));
  s.counts = row_tensor({op, "counts", kI32, true}, d.counts, 0, count, call);
  s.cut_score = row_tensor({op, "cut_score", kF32, true}, d.cut_score, 0, count, call);
  s.cut_index = row_tensor({op, "cut_index", kI32, true}, d.cut_index, 0, count, call);
  const bool cut = s.cut_score.given() || s.cut_index.given();
  if (s.cut_only() && !s.counts.given() && !cut) {
    fail(DSA_ERROR_INVALID,
         "%s: no output is given (indices, slots, values, counts, cut_score, cut_index)", op);
  }
  if (cut && s.ties == DSA_TIES_ANY) {
    fail(DSA_ERROR_INVALID, "%s: cut_score and cut_index are not available with DSA_TIES_ANY", op);
  }

  if (d.slot_page_size < 0) {
    fail(DSA_ERROR_INVALID, "%s.slot_page_size is %d, must be >= 0", op, d.slot_page_size);
  }
  if (d.slot_page_stride < 0) {
    fail(DSA_ERROR_INVALID, "%s.slot_page_stride is %d, must be >= 0", op, d.slot_page_stride);
  }
  if (s.slots.given()) {
    const bool own = given(d.slot_table);
    const dsa_tensor& table = own ? d.slot_table : d.block_table;
    const char* name = own ? "slot_table" : "block_table";
    if (!given(table)) {
      fail(DSA_ERROR_INVALID, "%s.slots is given without slot_table or block_table", op);
    }
    check_tensor({op, name, kI32}, table, 2, 2, call);
    check_extent({op, name, kI32}, table, 0, rows.batch, "batch");
    int64_t page = d.slot_page_size;
    if (page == 0) page = key_page_size;
    if (page < 1 || page > INT32_MAX) {
      fail(DSA_ERROR_INVALID, "%s.slot_page_size is 0 and the keys give no page size", op);
    }
    if (!own && key_page_size != 0 && page != key_page_size) {
      fail(DSA_ERROR_INVALID, "%s.slot_page_size is %d, the pages of block_table have %lld keys",
           op, d.slot_page_size, static_cast<long long>(key_page_size));
    }
    s.slot_page_size = static_cast<int32_t>(page);
    s.slot_page_stride = d.slot_page_stride == 0 ? s.slot_page_size : d.slot_page_stride;
    if (s.slot_page_stride < s.slot_page_size) {
      fail(DSA_ERROR_INVALID, "%s.slot_page_stride is %d, below the page size %d", op,
           d.slot_page_stride, s.slot_page_size);
    }
    s.slot_table = static_cast<const char*>(table.data);
    s.slot_table_pages = table.shape[1];
    s.slot_table_request_stride = table.stride[0] * 4;
    s.slot_table_page_stride = table.stride[1] * 4;
  }
  return s;
}

}  // namespace dsa
