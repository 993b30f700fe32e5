// All of it on the CPU.
#include "hybrid/two_steps.h"

namespace dsa {
namespace {

std::string refuse(const dsa_ctx& ctx, const ForwardCall& call) {
  if (call.on_gpu()) return "the tensors are on the GPU";
  return refuse_two_steps(ctx, call);
}

uint64_t workspace(const dsa_ctx& ctx, const ForwardCall& call) {
  return TwoSteps(ctx, call).bytes;
}

void run(dsa_ctx& ctx, const ForwardCall& call, const Run& given) {
  TwoSteps steps(ctx, call);
  const WorkspacePool::Lease lease(ctx.workspaces, given.workspace ? 0 : steps.bytes);
  char* const memory = given.workspace ? given.workspace : lease.data();
  steps.place(memory);
  Run run = given;
  run.workspace = memory + steps.passed_bytes;
  steps.select->launch(&steps.selected, run);
  steps.attend->launch(&steps.attended, run);
}

}  // namespace

constinit const Route kRouteCpu = {"forward.cpu", DSA_ROUTE_CPU, false, refuse, workspace, run};

}  // namespace dsa
