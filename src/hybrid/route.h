// The routes of dsa_forward: ways to do the same call, on the GPU, on the CPU, or on both.
#pragma once

#include <span>
#include <string>

#include "core/context.h"
#include "core/params.h"

namespace dsa {

// A call whose parameters are checked. The selection's indices go from `select` to `attend`: the
// caller's where `select` has them, else in scratch memory of the route.
struct ForwardCall {
  IndexerTopkParams select;
  SparseAttnParams attend;
  bool scratch_indices = false;
  CallDevice device;  // of the tensors
  bool capturing = false;
  float gpu_busy = 0;         // share of the GPU that other work takes
  uint64_t memory_limit = 0;  // bytes of workspace; 0: none

  bool on_gpu() const { return device.type == DSA_DEVICE_CUDA; }
};

struct Route {
  const char* name;  // "forward.gpu"
  int32_t id;        // DSA_ROUTE_...
  bool capturable;
  // Why it cannot do the call; "" when it can.
  std::string (*refuse)(const dsa_ctx& ctx, const ForwardCall& call);
  // Of a call that it does not refuse: from host extents only, monotone in each.
  uint64_t (*workspace)(const dsa_ctx& ctx, const ForwardCall& call);
  // run.workspace NULL: the route finds memory itself.
  void (*run)(dsa_ctx& ctx, const ForwardCall& call, const Run& run);
};

extern const Route kRouteGpu, kRouteCpu, kRouteHybrid, kRouteHybridPrefilter;

// Every route of this build.
std::span<const Route* const> forward_routes();

}  // namespace dsa
