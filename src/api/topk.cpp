// dsa_topk: validate, pick, run.
#include <algorithm>

#include "api/dispatch.h"
#include "api/select_params.h"
#include "core/make_rows.h"

namespace dsa {

TopkParams make_params(const dsa_topk_desc& d, CallKind call) {
  const char* op = "topk";
  check_flags(op, d.flags, DSA_CAUSAL | DSA_COLUMNS_FROM_BEGIN | DSA_SELECT_NEG_INF);
  const TensorRule scores_rule{op, "scores", kFloatDtypes};
  check_tensor(scores_rule, d.scores, 2, 3, call);
  const int64_t count = row_count(d.scores, 1);
  TopkParams p;
  p.scores = row_tensor(scores_rule, d.scores, 1, count, call);
  const int64_t columns = p.scores.extent[0];
  if (columns > INT32_MAX) {
    fail(DSA_ERROR_INVALID, "topk.scores.shape[%d] is %lld, above 2^31-1", d.scores.ndim - 1,
         static_cast<long long>(columns));
  }
  if (d.page_size < 0) fail(DSA_ERROR_INVALID, "topk.page_size is %d, must be >= 0", d.page_size);
  const int64_t batch =
      resolve_batch(op, d, given(d.slot_table) ? d.slot_table.shape[0] : 0, "slot_table.shape[0]");
  // Positions are bounded by the columns, or, when those start at each row's begin, by int32.
  const bool from_begin = (d.flags & DSA_COLUMNS_FROM_BEGIN) != 0;
  p.rows = make_rows(op, d, count, batch, from_begin ? INT32_MAX : columns, columns, call);
  p.select = make_select(op, d, p.rows, d.scores.dtype, d.page_size, call);
  if (call.needs_data) {
    check_distinct(op,
                   {{"indices", &d.indices},
                    {"slots", &d.slots},
                    {"values", &d.values},
                    {"counts", &d.counts},
                    {"cut_score", &d.cut_score},
                    {"cut_index", &d.cut_index}},
                   {{"scores", &d.scores},
                    {"mask", &d.mask},
                    {"hint_indices", &d.hint_indices},
                    {"hint_bound", &d.hint_bound},
                    {"index_base", &d.index_base}});
  }
  return p;
}

}  // namespace dsa

dsa_status dsa_topk(dsa_ctx* ctx, const dsa_topk_desc* desc, const dsa_exec* exec) {
  return dsa::run_operation(ctx, "topk", DSA_OP_TOPK, desc, exec);
}
