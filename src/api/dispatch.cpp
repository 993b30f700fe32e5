#include "api/dispatch.h"

#include <cinttypes>

namespace dsa {
namespace {

const Kernel& planned_kernel(const dsa_ctx& ctx, const dsa_plan& plan, const Call& call) {
  if (plan.ctx != &ctx) fail(DSA_ERROR_INVALID, "exec.plan was made by another context");
  if (!plan.kernel) {
    fail(DSA_ERROR_INVALID, "exec.plan is for operation %d, the call is %d", DSA_OP_FORWARD,
         call.operation);
  }
  const Kernel& kernel = *plan.kernel;
  if (kernel.operation != call.operation) {
    fail(DSA_ERROR_INVALID, "exec.plan is for operation %d, the call is %d", kernel.operation,
         call.operation);
  }
  if (kernel.device != call.device.type) {
    fail(DSA_ERROR_INVALID, "exec.plan is for device %d, the call's tensors are on %d",
         kernel.device, call.device.type);
  }
  if (const char* reason = kernel.refuse(call.params)) {
    fail(DSA_ERROR_INVALID, "exec.plan: %s refuses this call: %s", kernel.name, reason);
  }
  return kernel;
}

}  // namespace

void check_exec(const dsa_exec& exec, const CallDevice& device) {
  check_struct_size("exec", &exec, exec.struct_size, sizeof(dsa_exec));
  if (exec.flags != 0) fail(DSA_ERROR_INVALID, "exec.flags is 0x%x, none is defined", exec.flags);
  if (exec.stream && device.type != DSA_DEVICE_CUDA) {
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

Run make_run(const dsa_ctx& ctx, const dsa_exec* exec, const char* name, uint64_t needed) {
  Run run;
  run.parallel = &ctx.parallel;
  if (!exec) return run;
  run.parallel_user = exec->parallel_user;
  run.stream = exec->stream;
  run.workspace = static_cast<char*>(exec->workspace);
  if (run.workspace && exec->workspace_size < needed) {
    fail(DSA_ERROR_WORKSPACE, "exec.workspace_size is %" PRIu64 ", %s needs %" PRIu64,
         exec->workspace_size, name, needed);
  }
  return run;
}

void launch(dsa_ctx& ctx, const Call& call, const dsa_exec* exec) {
  if (exec) check_exec(*exec, call.device);
  if (!call.params) return;  // no query rows: nothing to do
  const Kernel& kernel =
      exec && exec->plan ? planned_kernel(ctx, *exec->plan, call) : pick_kernel(ctx, call);
  const int32_t lanes = ctx.lanes_of(kernel);
  const uint64_t needed = kernel.workspace(call.params, lanes);
  if (ctx.log.dispatch()) {
    ctx.log.write(2, "dispatch: %s, workspace %" PRIu64 " bytes, at most %d lanes", kernel.name,
                  needed, lanes);
  }
  Run run = make_run(ctx, exec, kernel.name, needed);
  if (kernel.device == DSA_DEVICE_CUDA) {
    ctx.cuda->launch(kernel, call.params, run, needed);
  } else if (run.workspace) {
    kernel.launch(call.params, run);
  } else {
    const WorkspacePool::Lease lease(ctx.workspaces, needed);
    run.workspace = lease.data();
    kernel.launch(call.params, run);
  }
}

}  // namespace dsa
