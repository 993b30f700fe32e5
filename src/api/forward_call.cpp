#include "api/forward_call.h"

#include <algorithm>
#include <cinttypes>

#include "api/descriptor.h"
#include "core/error.h"
#include "core/pick.h"

namespace dsa {
namespace {

// `attend` without what `select` is there to give.
void check_attend(const dsa_sparse_attn_desc& attend, const dsa_indexer_topk_desc& select) {
  if (attend.selection != DSA_SELECTION_INDICES) {
    fail(DSA_ERROR_INVALID,
         "forward.attend.selection is %d, must be 0 (DSA_SELECTION_INDICES): select gives it",
         attend.selection);
  }
  if (attend.k != 0 && attend.k != select.k) {
    fail(DSA_ERROR_INVALID, "forward.attend.k is %d, forward.select.k is %d", attend.k, select.k);
  }
  const NamedTensor fields[] = {{"indices", &attend.indices},
                                {"counts", &attend.counts},
                                {"scores", &attend.scores},
                                {"cut_score", &attend.cut_score},
                                {"cut_index", &attend.cut_index}};
  for (const NamedTensor& f : fields) {
    if (given(*f.tensor)) {
      fail(DSA_ERROR_INVALID, "forward.attend.%s is given: select gives the selection", f.field);
    }
  }
}

// Stands for the scratch indices until a route has made them: nothing reads what it points to.
dsa_tensor unplaced_indices(const dsa_indexer_topk_desc& select, CallKind call) {
  const dsa_tensor& q = select.q;
  check_tensor({"indexer_topk", "q", kKeyDtypes}, q, 3, 4, call);
  dsa_tensor t{};
  alignas(kWorkspaceAlignment) static char nowhere[kWorkspaceAlignment];
  t.data = nowhere;
  t.dtype = DSA_I32;
  t.ndim = 2;
  t.shape[0] = row_count(q, 2);
  t.shape[1] = t.stride[0] = std::max(select.k, 1);
  t.stride[1] = 1;
  t.device = q.device;
  t.device_id = q.device_id;
  return t;
}

// An output of one step that is an input or output of the other.
void check_apart(const dsa_indexer_topk_desc& s, const dsa_sparse_attn_desc& a) {
  const std::initializer_list<NamedTensor> select_outputs = {
      {"select.indices", &s.indices},     {"select.slots", &s.slots},
      {"select.values", &s.values},       {"select.counts", &s.counts},
      {"select.cut_score", &s.cut_score}, {"select.cut_index", &s.cut_index}};
  const std::initializer_list<NamedTensor> attend_all = {
      {"attend.q", &a.q},       {"attend.q2", &a.q2},   {"attend.kv", &a.kv},
      {"attend.kv2", &a.kv2},   {"attend.v", &a.v},     {"attend.kv_b", &a.kv_b},
      {"attend.sink", &a.sink}, {"attend.out", &a.out}, {"attend.lse", &a.lse},
      {"attend.max", &a.max}};
  const std::initializer_list<NamedTensor> select_inputs = {
      {"select.q", &s.q}, {"select.keys", &s.keys}, {"select.w", &s.w}, {"select.mask", &s.mask}};
  check_distinct("forward", select_outputs, attend_all);
  check_distinct("forward",
                 {{"attend.out", &a.out}, {"attend.lse", &a.lse}, {"attend.max", &a.max}},
                 select_inputs);
}

}  // namespace

ForwardCall make_forward(const dsa_ctx& ctx, const dsa_forward_desc& d, bool needs_data) {
  check_flags("forward", d.flags, 0);
  if (d.route < DSA_ROUTE_AUTO || d.route > DSA_ROUTE_HYBRID_PREFILTER) {
    fail(DSA_ERROR_INVALID, "forward.route is %d, must be 0 to 4", d.route);
  }
  if (!(d.gpu_busy >= 0.0f && d.gpu_busy <= 1.0f)) {
    fail(DSA_ERROR_INVALID, "forward.gpu_busy is %g, must be 0 to 1",
         static_cast<double>(d.gpu_busy));
  }
  check_descriptor("forward.select", d.select, DSA_OP_INDEXER_TOPK);
  check_descriptor("forward.attend", d.attend, DSA_OP_SPARSE_ATTN);
  dsa_indexer_topk_desc select = *d.select;
  dsa_sparse_attn_desc attend = *d.attend;
  check_attend(attend, select);

  ForwardCall call;
  call.gpu_busy = d.gpu_busy;
  call.memory_limit = d.memory_limit;
  call.device = devices_of(ctx);
  call.scratch_indices = !given(select.indices);
  const CallKind kind{.needs_data = needs_data, .device = &call.device};
  if (call.scratch_indices) select.indices = unplaced_indices(select, kind);
  call.select = make_params(select, kind);
  const int64_t rows = query_rows(call.select);
  check_tensor({"sparse_attn", "q", kKeyDtypes}, attend.q, 3, 4, kind);
  if (row_count(attend.q, 2) != rows) {
    fail(DSA_ERROR_INVALID,
         "forward.attend.q has %" PRId64 " query rows, forward.select.q has %" PRId64,
         row_count(attend.q, 2), rows);
  }
  attend.k = select.k;
  attend.indices = select.indices;
  call.attend = make_params(attend, kind);
  if (needs_data) check_apart(*d.select, *d.attend);
  return call;
}

}  // namespace dsa
