// Which route does a call of dsa_forward.
#pragma once

#include <string>
#include <vector>

#include "api/forward_call.h"

namespace dsa {

struct ForwardChoice {
  const Route* route;
  bool staged;         // the tensors lie on the other side and are copied: hybrid/staging.h
  uint64_t workspace;  // bytes that the caller may bring; a staged call finds all memory itself
};

// Side of a route: where its tensors must be.
inline bool is_gpu_route(const Route& route) { return route.id != DSA_ROUTE_CPU; }

// What `route` (DSA_ROUTE_...) means for the call that `desc` describes; throws why there is none.
// `others` (optional) collects the predicted time or the refusal of the other routes.
ForwardChoice choose_route(const dsa_ctx& ctx, const dsa_forward_desc& desc,
                           const ForwardCall& call, int32_t route,
                           std::vector<std::string>* others = nullptr);

// Workspace for the call whichever route desc.route leads to: `auto` may take another one for other
// extents.
uint64_t forward_workspace(const dsa_ctx& ctx, const dsa_forward_desc& desc,
                           const ForwardCall& call);

}  // namespace dsa
