#include "hybrid/cpu_cuts.h"

#include <algorithm>

#include "core/error.h"

namespace dsa {
namespace {

// One number of every struct of an array, as a tensor [rows].
RowTensor column_of(void* first, int64_t stride, int32_t dtype) {
  RowTensor t;
  t.data = static_cast<char*>(first);
  t.dtype = dtype;
  t.bytes = 4;
  t.row_stride = stride;
  return t;
}

Call cuts_call(const TopkParams& p) {
  CallDevice device;
  device.type = DSA_DEVICE_CPU;
  return {DSA_OP_TOPK, device, &p};
}

}  // namespace

std::string refuse_cuts(const dsa_ctx& ctx) {
  TopkParams p;
  p.select.k = 1;
  try {
    pick_kernel(ctx, cuts_call(p));
    return "";
  } catch (const Error& error) {
    return std::string("on the CPU: ") + error.text;
  }
}

void find_cuts(dsa_ctx& ctx, const PinnedSlot& slot, int64_t rows, const SelectParams& select,
               void* parallel_user) {
  int32_t longest = 0;
  for (int64_t i = 0; i < rows; ++i) {
    longest = std::max(longest, slot.shipped[i].end - slot.shipped[i].begin);
  }
  TopkParams p;
  // All rows lie in one row of scores, each a range of it.
  p.scores = column_of(slot.scores, 0, DSA_F32);
  p.scores.extent[0] = *slot.total;
  p.scores.stride[0] = 1;
  p.rows.count = p.rows.per_request = rows;
  p.rows.by = VisibleBy::kRange;
  p.rows.key_limit = p.rows.columns = *slot.total;
  p.rows.max_keys = std::max(longest, 1);
  p.rows.row_begin = column_of(&slot.shipped->begin, sizeof(ShippedRow), DSA_I32);
  p.rows.row_end = column_of(&slot.shipped->end, sizeof(ShippedRow), DSA_I32);
  p.select.k = select.k;
  p.select.select_neg_inf = select.select_neg_inf;
  p.select.cut_score = column_of(&slot.cuts->score, sizeof(Cut), DSA_F32);
  p.select.cut_index = column_of(&slot.cuts->place, sizeof(Cut), DSA_I32);
  const Kernel& kernel = pick_kernel(ctx, cuts_call(p));
  const WorkspacePool::Lease lease(ctx.workspaces, kernel.workspace(&p, ctx.lanes_of(kernel)));
  Run run;
  run.parallel = &ctx.parallel;
  run.parallel_user = parallel_user;
  run.workspace = lease.data();
  kernel.launch(&p, run);
}

}  // namespace dsa
