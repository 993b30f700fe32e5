// The GPU scores and attends, the CPU selects.
#include <algorithm>

#include "hybrid/cpu_cuts.h"
#include "hybrid/pipeline.h"
#include "hybrid/stream_memory.h"

namespace dsa {
namespace {

std::string refuse(const dsa_ctx& ctx, const ForwardCall& call) {
  if (!call.on_gpu()) return "the tensors are on the CPU";
  if (call.select.select.order == DSA_ORDER_SCORE) {
    return "select.order is 1 (by score), the CPU finds cuts only";
  }
  const std::string steps = refuse_two_steps(ctx, call);
  if (!steps.empty()) return steps;
  const uint64_t slot = ctx.hybrid->slot_bytes();
  if (call.select.indexer.rows.count > 0 && !has_room_for_row(call, slot)) {
    return "a row of " + std::to_string(call.select.indexer.rows.max_length()) +
           " keys does not fit into " + std::to_string(slot) +
           " bytes, a fourth of the pinned memory (pinned_bytes)";
  }
  return refuse_cuts(ctx);
}

// Workspace of the attention kernel, of all rows: no chunk needs more.
uint64_t scratch_bytes(const dsa_ctx& ctx, const TwoSteps& steps) {
  return steps.attend->workspace(&steps.attended, ctx.lanes_of(*steps.attend));
}

template <bool filtered>
uint64_t workspace(const dsa_ctx& ctx, const ForwardCall& call) {
  return HybridMemory(call, filtered).bytes + scratch_bytes(ctx, TwoSteps(ctx, call));
}

template <bool filtered>
void run(dsa_ctx& ctx, const ForwardCall& call, const Run& given) {
  const std::lock_guard<std::mutex> turn(ctx.hybrid->turn);
  ctx.hybrid->make_ready();
  const uint64_t scratch = scratch_bytes(ctx, TwoSteps(ctx, call));
  const uint64_t own = HybridMemory(call, filtered).bytes;
  const StreamMemory lent(*ctx.cuda, given.stream, given.workspace ? 0 : own + scratch);
  char* const memory = given.workspace ? given.workspace : lent.data();
  try {
    Pipeline(ctx, call, given, filtered, memory, memory + own).run();
  } catch (...) {
    // What runs on the ring's streams may still write to the ring and read the call's memory.
    BackendError error;
    for (void* stream : {ctx.hybrid->scores_stream, ctx.hybrid->copies_stream}) {
      ctx.cuda->tell(&BackendServices::wait_stream, stream, &error);
    }
    for (void* taken : ctx.hybrid->taken) {
      ctx.cuda->tell(&BackendServices::record, taken, given.stream, &error);
    }
    throw;
  }
}

}  // namespace

constinit const Route kRouteHybrid = {"forward.hybrid", DSA_ROUTE_HYBRID, false,
                                      refuse,           workspace<false>, run<false>};
constinit const Route kRouteHybridPrefilter = {"forward.hybrid_prefilter",
                                               DSA_ROUTE_HYBRID_PREFILTER,
                                               false,
                                               refuse,
                                               workspace<true>,
                                               run<true>};

}  // namespace dsa
