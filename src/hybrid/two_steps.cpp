#include "hybrid/two_steps.h"

#include <algorithm>

#include "core/error.h"

namespace dsa {
namespace {

constexpr uint64_t round_up(uint64_t bytes) {
  return (bytes + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment;
}

}  // namespace

PassedOn::PassedOn(const ForwardCall& call) : counts_(!call.select.select.counts.given()) {
  if (!call.scratch_indices) return;
  // A k beyond the keys of any row selects no more, and would make the memory that wide.
  width_ = std::clamp<int64_t>(call.select.indexer.rows.max_length(), 1, call.select.select.k);
}

uint64_t PassedOn::index_bytes(int64_t rows) const { return round_up(uint64_t(rows * width_) * 4); }
uint64_t PassedOn::count_bytes(int64_t rows) const {
  return counts_ ? round_up(uint64_t(rows) * 4) : 0;
}

void PassedOn::place(char* memory, int64_t first, int64_t rows, SelectParams& select,
                     AttnScope& attend) const {
  const auto tensor = [&](char* at, int64_t width) {
    RowTensor t;
    t.dtype = DSA_I32;
    t.bytes = 4;
    t.row_stride = width * 4;
    t.extent[0] = width;
    t.stride[0] = 1;
    t.data =
        reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(at) - uintptr_t(first * t.row_stride));
    return t;
  };
  if (width_ > 0) {
    select.k = attend.k = static_cast<int32_t>(width_);
    select.indices = tensor(memory, width_);
  }
  if (counts_) select.counts = tensor(memory + index_bytes(rows), 1);
  attend.indices = select.indices;
  attend.counts = select.counts;
}

TwoSteps::TwoSteps(const dsa_ctx& ctx, const ForwardCall& call)
    : selected(call.select), attended(call.attend), passed(call) {
  place(nullptr);
  select = &pick_kernel(ctx, {DSA_OP_INDEXER_TOPK, call.device, &selected});
  attend = &pick_kernel(ctx, {DSA_OP_SPARSE_ATTN, call.device, &attended});
  passed_bytes = passed.bytes(attended.rows);
  bytes = passed_bytes + std::max(select->workspace(&selected, ctx.lanes_of(*select)),
                                  attend->workspace(&attended, ctx.lanes_of(*attend)));
}

void TwoSteps::place(char* workspace) {
  passed.place(workspace, 0, attended.rows, selected.select, attended.scope[0]);
}

std::string refuse_two_steps(const dsa_ctx& ctx, const ForwardCall& call) {
  try {
    const TwoSteps steps(ctx, call);
    return "";
  } catch (const Error& error) {
    return error.text;
  }
}

}  // namespace dsa
