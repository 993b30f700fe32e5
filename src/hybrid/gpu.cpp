// All of it on the GPU: the fused selection, which keeps no score matrix, and attention.
#include "hybrid/stream_memory.h"
#include "hybrid/two_steps.h"

namespace dsa {
namespace {

std::string refuse(const dsa_ctx& ctx, const ForwardCall& call) {
  if (!call.on_gpu()) return "the tensors are on the CPU";
  return refuse_two_steps(ctx, call);
}

uint64_t workspace(const dsa_ctx& ctx, const ForwardCall& call) {
  return TwoSteps(ctx, call).bytes;
}

void run(dsa_ctx& ctx, const ForwardCall& call, const Run& given) {
  TwoSteps steps(ctx, call);
  const StreamMemory lent(*ctx.cuda, given.stream, given.workspace ? 0 : steps.bytes);
  char* const memory = given.workspace ? given.workspace : lent.data();
  steps.place(memory);
  Run run = given;
  run.workspace = memory + steps.passed_bytes;
  ctx.cuda->launch(*steps.select, &steps.selected, run, 0);
  ctx.cuda->launch(*steps.attend, &steps.attended, run, 0);
}

}  // namespace

constinit const Route kRouteGpu = {"forward.gpu", DSA_ROUTE_GPU, true, refuse, workspace, run};

}  // namespace dsa
