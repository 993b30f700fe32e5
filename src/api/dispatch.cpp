#include "api/dispatch.h"

#include <cinttypes>

namespace dsa {
namespace {

void check_exec(const dsa_exec& exec) {
  check_struct_size("exec", &exec, exec.struct_size, sizeof(dsa_exec));
  if (exec.flags != 0) fail(DSA_ERROR_INVALID, "exec.flags is 0x%x, none is defined", exec.flags);
  if (exec.stream) {
    fail(DSA_ERROR_INVALID, "exec.stream is %p, must be NULL for CPU tensors", exec.stream);
  }
  if (!exec.workspace && exec.workspace_size != 0) {
    fail(DSA_ERROR_WORKSPACE, "exec.workspace is NULL and exec.workspace_size is %" PRIu64,
         exec.workspace_size);
  }
  if (reinterpret_cast<uintptr_t>(exec.workspace) % kWorkspaceAlignment != 0) {
    fail(DSA_ERROR_WORKSPACE, "exec.workspace is %p, must be aligned to %" PRIu64 " bytes",
         exec.workspace, kWorkspaceAlignment);
  }
}

const Kernel& planned_kernel(const dsa_ctx& ctx, const dsa_plan& plan, int32_t operation,
                             const void* params) {
  if (plan.ctx != &ctx) fail(DSA_ERROR_INVALID, "exec.plan was made by another context");
  if (plan.kernel->operation != operation) {
    fail(DSA_ERROR_INVALID, "exec.plan is for operation %d, the call is %d", plan.kernel->operation,
         operation);
  }
  if (const char* reason = plan.kernel->refuse(params)) {
    fail(DSA_ERROR_INVALID, "exec.plan: %s refuses this call: %s", plan.kernel->name, reason);
  }
  return *plan.kernel;
}

}  // namespace

const Kernel& pick_kernel(const dsa_ctx& ctx, int32_t operation, const void* params,
                          std::vector<std::string>* refused) {
  const Kernel* picked = nullptr;
  const char* last_name = "no kernel";
  std::string last_reason = "this build has none";
  for (const KernelState& state : ctx.kernels) {
    if (state.kernel->operation != operation) continue;
    const char* reason = state.reason.c_str();
    if (state.reason.empty()) reason = state.kernel->refuse(params);
    if (!reason || !*reason) {
      picked = state.kernel;
      break;
    }
    last_name = state.kernel->name;
    last_reason = reason;
    if (refused) refused->push_back(std::string(last_name) + ": " + reason);
  }
  if (!picked) {
    fail(DSA_ERROR_UNSUPPORTED, "no kernel takes this call; %s: %s", last_name,
         last_reason.c_str());
  }
  return *picked;
}

void launch(dsa_ctx& ctx, int32_t operation, const void* params, const dsa_exec* exec) {
  if (exec) check_exec(*exec);
  if (!params) return;  // no query rows: nothing to do
  const Kernel& kernel = exec && exec->plan ? planned_kernel(ctx, *exec->plan, operation, params)
                                            : pick_kernel(ctx, operation, params);
  const uint64_t needed = kernel.workspace(params, ctx.parallel.max_lanes());
  if (ctx.log.dispatch()) {
    ctx.log.write(2, "dispatch: %s, workspace %" PRIu64 " bytes, at most %d lanes", kernel.name,
                  needed, ctx.parallel.max_lanes());
  }
  Run run;
  run.parallel = &ctx.parallel;
  if (exec) run.parallel_user = exec->parallel_user;
  if (exec && exec->workspace) {
    if (exec->workspace_size < needed) {
      fail(DSA_ERROR_WORKSPACE, "exec.workspace_size is %" PRIu64 ", %s needs %" PRIu64,
           exec->workspace_size, kernel.name, needed);
    }
    run.workspace = static_cast<char*>(exec->workspace);
    kernel.launch(params, run);
    return;
  }
  const WorkspacePool::Lease lease(ctx.workspaces, needed);
  run.workspace = lease.data();
  kernel.launch(params, run);
}

}  // namespace dsa
