// dsa_forward: validate, choose a route, run.
#include "api/dispatch.h"
#include "api/forward_choice.h"
#include "hybrid/staging.h"
#include "hybrid/stream_memory.h"

namespace dsa {
namespace {

// The route of the plan, if that is for this call.
int32_t planned_route(const dsa_ctx& ctx, const dsa_plan& plan, int32_t route) {
  if (plan.ctx != &ctx) fail(DSA_ERROR_INVALID, "exec.plan was made by another context");
  if (!plan.route) {
    fail(DSA_ERROR_INVALID, "exec.plan is for operation %d, the call is %d", plan.kernel->operation,
         DSA_OP_FORWARD);
  }
  if (route != DSA_ROUTE_AUTO && route != plan.route->id) {
    fail(DSA_ERROR_INVALID, "exec.plan is for route %d, forward.route is %d", plan.route->id,
         route);
  }
  return plan.route->id;
}

// A call whose tensors lie on the other side: they are copied there, and the results back. Finished
// on return; what the caller sees of an error is the call's outputs untouched.
class StagedRun {
 public:
  StagedRun(dsa_ctx& ctx, const dsa_forward_desc& desc, const Route& route, void* stream)
      : ctx_(ctx),
        stream_(stream),
        on_gpu_(is_gpu_route(route)),
        staged_(desc, on_gpu_ ? DSA_DEVICE_CUDA : DSA_DEVICE_CPU, on_gpu_ ? ctx.device()->id : 0),
        device_memory_(*ctx.cuda, stream, on_gpu_ ? staged_.bytes() : 0),
        host_memory_(ctx.workspaces, on_gpu_ ? 0 : staged_.bytes()) {
    staged_.place(on_gpu_ ? device_memory_.data() : host_memory_.data());
  }
  // No copy is under way when the memory goes.
  ~StagedRun() {
    BackendError error;
    ctx_.cuda->tell(&BackendServices::wait_stream, stream_, &error);
  }
  StagedRun(const StagedRun&) = delete;
  StagedRun& operator=(const StagedRun&) = delete;

  void operator()(const Route& route, Run run) {
    const CopyRows copy = [this](char* to, int64_t to_step, const char* from, int64_t from_step,
                                 int64_t width, int64_t rows) {
      ctx_.cuda->ask(&BackendServices::copy_rows, static_cast<void*>(to), to_step,
                     static_cast<const void*>(from), from_step, width, rows, stream_);
    };
    staged_.copy_in(copy);
    if (!on_gpu_) ctx_.cuda->ask(&BackendServices::wait_stream, stream_);
    run.workspace = nullptr;
    route.run(ctx_, make_forward(ctx_, staged_.desc(), true), run);
    staged_.copy_out(copy);
    ctx_.cuda->ask(&BackendServices::wait_stream, stream_);
  }

 private:
  dsa_ctx& ctx_;
  void* stream_;
  bool on_gpu_;
  StagedForward staged_;
  StreamMemory device_memory_;
  WorkspacePool::Lease host_memory_;
};

void run_forward(dsa_ctx& ctx, const dsa_forward_desc& desc, const dsa_exec* exec) {
  ForwardCall call = make_forward(ctx, desc, true);
  if (exec) check_exec(*exec, call.device);
  if (query_rows(call.select) == 0) return;
  if (call.on_gpu()) {
    ctx.cuda->ask(&BackendServices::is_capturing, exec ? exec->stream : nullptr, &call.capturing);
  }
  const int32_t asked =
      exec && exec->plan ? planned_route(ctx, *exec->plan, desc.route) : desc.route;
  const ForwardChoice choice = choose_route(ctx, desc, call, asked);
  const Run run = make_run(ctx, exec, choice.route->name, choice.workspace);
  if (choice.staged) {
    StagedRun(ctx, desc, *choice.route, run.stream)(*choice.route, run);
  } else {
    choice.route->run(ctx, call, run);
  }
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
