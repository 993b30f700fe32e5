// dsa_forward: validate, choose a route, run.
#include <cinttypes>

#include "api/dispatch.h"
#include "api/forward_call.h"

namespace dsa {
namespace {

const Route& planned_route(const dsa_ctx& ctx, const dsa_plan& plan, const ForwardCall& call,
                           int32_t route) {
  if (plan.ctx != &ctx) fail(DSA_ERROR_INVALID, "exec.plan was made by another context");
  if (!plan.route) {
    fail(DSA_ERROR_INVALID, "exec.plan is for operation %d, the call is %d", plan.kernel->operation,
         DSA_OP_FORWARD);
  }
  if (route != DSA_ROUTE_AUTO && route != plan.route->id) {
    fail(DSA_ERROR_INVALID, "exec.plan is for route %d, forward.route is %d", plan.route->id,
         route);
  }
  return choose_route(ctx, call, plan.route->id);
}

void run_forward(dsa_ctx& ctx, const dsa_forward_desc& desc, const dsa_exec* exec) {
  ForwardCall call = make_forward(ctx, desc, true);
  if (exec) check_exec(*exec, call.device);
  if (query_rows(call.select) == 0) return;
  if (call.on_gpu()) {
    ctx.cuda->ask(&BackendServices::is_capturing, exec ? exec->stream : nullptr, &call.capturing);
  }
  const Route& route = exec && exec->plan ? planned_route(ctx, *exec->plan, call, desc.route)
                                          : choose_route(ctx, call, desc.route);
  Run run;
  run.parallel = &ctx.parallel;
  if (exec) {
    run.parallel_user = exec->parallel_user;
    run.stream = exec->stream;
    run.workspace = static_cast<char*>(exec->workspace);
  }
  const uint64_t needed = route.workspace(ctx, call);
  if (ctx.log.dispatch()) {
    ctx.log.write(2, "dispatch: %s, workspace %" PRIu64 " bytes", route.name, needed);
  }
  if (run.workspace && exec->workspace_size < needed) {
    fail(DSA_ERROR_WORKSPACE, "exec.workspace_size is %" PRIu64 ", %s needs %" PRIu64,
         exec->workspace_size, route.name, needed);
  }
  route.run(ctx, call, run);
}

}  // namespace
}  // namespace dsa

dsa_status dsa_forward(dsa_ctx* ctx, const dsa_forward_desc* desc, const dsa_exec* exec) {
  using namespace dsa;
  return guarded([&] {
    if (!ctx) fail(DSA_ERROR_INVALID, "forward: ctx is NULL");
    check_descriptor("forward", desc, DSA_OP_FORWARD);
    run_forward(*ctx, *desc, exec);
  });
}
