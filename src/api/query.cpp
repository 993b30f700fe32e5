// Asking before running: supports, workspace, plans, kernels.
#include <cstdio>
#include <cstring>
#include <memory>

#include "api/dispatch.h"
#include "api/forward_choice.h"

namespace dsa {
namespace {

// Makes the parameters of any descriptor (contents of tensors are not read) and hands them to
// f(call).
template <class Desc, class F>
void with_typed(const dsa_ctx& ctx, const char* op, int32_t kind, const void* desc, F&& f) {
  const Desc* typed = static_cast<const Desc*>(desc);
  check_descriptor(op, typed, kind);
  CallDevice device = devices_of(ctx);
  const auto params = make_params(*typed, {.needs_data = false, .device = &device});
  f(Call{kind, device, &params});
}

bool is_forward(const void* desc) {
  if (!desc) return false;
  uint32_t head[2];  // struct_size, kind
  std::memcpy(head, desc, sizeof head);
  return head[1] == DSA_OP_FORWARD;
}

// The same for dsa_forward: f(desc, call).
template <class F>
void with_forward(const dsa_ctx& ctx, const void* desc, F&& f) {
  const auto* typed = static_cast<const dsa_forward_desc*>(desc);
  check_descriptor("forward", typed, DSA_OP_FORWARD);
  f(*typed, make_forward(ctx, *typed, false));
}

template <class F>
void with_params(const dsa_ctx& ctx, const void* desc, F&& f) {
  if (!desc) fail(DSA_ERROR_INVALID, "the descriptor is NULL");
  uint32_t head[2];  // struct_size, kind
  std::memcpy(head, desc, sizeof head);
  switch (head[1]) {
    case DSA_OP_INDEXER:
      return with_typed<dsa_indexer_desc>(ctx, "indexer", DSA_OP_INDEXER, desc, f);
    case DSA_OP_TOPK:
      return with_typed<dsa_topk_desc>(ctx, "topk", DSA_OP_TOPK, desc, f);
    case DSA_OP_INDEXER_TOPK:
      return with_typed<dsa_indexer_topk_desc>(ctx, "indexer_topk", DSA_OP_INDEXER_TOPK, desc, f);
    case DSA_OP_SPARSE_ATTN:
      return with_typed<dsa_sparse_attn_desc>(ctx, "sparse_attn", DSA_OP_SPARSE_ATTN, desc, f);
    case DSA_OP_MERGE_LSE:
      return with_typed<dsa_merge_lse_desc>(ctx, "merge_lse", DSA_OP_MERGE_LSE, desc, f);
    default:
      fail(DSA_ERROR_INVALID, "the descriptor's kind is %u, must be 1 to 6", head[1]);
  }
}

}  // namespace
}  // namespace dsa

using namespace dsa;

dsa_status dsa_supports(dsa_ctx* ctx, const void* desc) {
  return guarded([&] {
    if (!ctx) fail(DSA_ERROR_INVALID, "supports: ctx is NULL");
    if (is_forward(desc)) {
      return with_forward(*ctx, desc, [&](const dsa_forward_desc& d, const ForwardCall& call) {
        choose_route(*ctx, d, call, d.route);
      });
    }
    with_params(*ctx, desc, [&](const Call& call) { pick_kernel(*ctx, call); });
  });
}

dsa_status dsa_workspace_size(dsa_ctx* ctx, const void* desc, uint64_t* bytes) {
  return guarded([&] {
    if (!ctx) fail(DSA_ERROR_INVALID, "workspace_size: ctx is NULL");
    if (!bytes) fail(DSA_ERROR_INVALID, "workspace_size: bytes is NULL");
    if (is_forward(desc)) {
      return with_forward(*ctx, desc, [&](const dsa_forward_desc& d, const ForwardCall& call) {
        *bytes = forward_workspace(*ctx, d, call);
      });
    }
    with_params(*ctx, desc, [&](const Call& call) {
      const Kernel& kernel = pick_kernel(*ctx, call);
      *bytes = kernel.workspace(call.params, ctx->lanes_of(kernel));
    });
  });
}

dsa_status dsa_plan_create(dsa_ctx* ctx, const void* desc, dsa_plan** out) {
  return guarded([&] {
    if (!ctx) fail(DSA_ERROR_INVALID, "plan_create: ctx is NULL");
    if (!out) fail(DSA_ERROR_INVALID, "plan_create: out is NULL");
    auto plan = std::make_unique<dsa_plan>();
    plan->ctx = ctx;
    if (is_forward(desc)) {
      with_forward(*ctx, desc, [&](const dsa_forward_desc& d, const ForwardCall& call) {
        plan->route = choose_route(*ctx, d, call, d.route, &plan->refused).route;
      });
    } else {
      with_params(*ctx, desc, [&](const Call& call) {
        plan->kernel = &pick_kernel(*ctx, call, &plan->refused);
      });
    }
    *out = plan.release();
  });
}

void dsa_plan_destroy(dsa_plan* plan) { delete plan; }

const char* dsa_plan_kernel(const dsa_plan* plan) {
  if (!plan) return nullptr;
  return plan->route ? plan->route->name : plan->kernel->name;
}

const char* dsa_plan_refused(const dsa_plan* plan, int32_t i) {
  if (!plan || i < 0 || static_cast<size_t>(i) >= plan->refused.size()) return nullptr;
  return plan->refused[static_cast<size_t>(i)].c_str();
}

dsa_status dsa_kernel_get(dsa_ctx* ctx, int32_t i, dsa_kernel_info* info) {
  return guarded([&] {
    if (!ctx) fail(DSA_ERROR_INVALID, "kernel_get: ctx is NULL");
    if (!info) fail(DSA_ERROR_INVALID, "kernel_get: info is NULL");
    check_struct_size("kernel_info", info, info->struct_size, sizeof(dsa_kernel_info));
    if (i < 0 || static_cast<size_t>(i) >= ctx->kernels.size()) {
      fail(DSA_ERROR_INVALID, "kernel_get: i is %d, there are %zu kernels", i, ctx->kernels.size());
    }
    const KernelState& state = ctx->kernels[static_cast<size_t>(i)];
    info->operation = state.kernel->operation;
    info->device = state.kernel->device;
    info->usable = state.reason.empty() ? 1 : 0;
    std::snprintf(info->name, sizeof info->name, "%s", state.kernel->name);
    std::snprintf(info->family, sizeof info->family, "%s", state.kernel->family);
    std::snprintf(info->reason, sizeof info->reason, "%s", state.reason.c_str());
  });
}
