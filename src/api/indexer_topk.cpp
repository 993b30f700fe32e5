// dsa_indexer_topk: validate, pick, run.
#include "api/dispatch.h"
#include "api/indexer_params.h"
#include "api/select_params.h"

namespace dsa {

IndexerTopkParams make_params(const dsa_indexer_topk_desc& d, CallKind call) {
  const char* op = "indexer_topk";
  check_flags(op, d.flags, DSA_CAUSAL | DSA_COLUMNS_FROM_BEGIN | DSA_NO_RELU | DSA_SELECT_NEG_INF);
  IndexerTopkParams p;
  p.indexer = make_indexer(op, d, -1, call);
  const KeyAxis& axis = p.indexer.axis;
  const int64_t page = axis.layout == DSA_LAYOUT_PAGES ? axis.inner : 0;
  p.select = make_select(op, d, p.indexer.rows, DSA_F32, page, call);
  if (call.needs_data) {
    check_distinct(op,
                   {{"indices", &d.indices},
                    {"slots", &d.slots},
                    {"values", &d.values},
                    {"counts", &d.counts},
                    {"cut_score", &d.cut_score},
                    {"cut_index", &d.cut_index}},
                   {{"q", &d.q},
                    {"keys", &d.keys},
                    {"w", &d.w},
                    {"mask", &d.mask},
                    {"hint_indices", &d.hint_indices},
                    {"hint_bound", &d.hint_bound},
                    {"index_base", &d.index_base}});
  }
  return p;
}

}  // namespace dsa

dsa_status dsa_indexer_topk(dsa_ctx* ctx, const dsa_indexer_topk_desc* desc, const dsa_exec* exec) {
  return dsa::run_operation(ctx, "indexer_topk", DSA_OP_INDEXER_TOPK, desc, exec);
}
