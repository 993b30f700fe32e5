// DSA_ROUTE_AUTO: which of the routes that can do a call does it.
#pragma once

#include "hybrid/route.h"

namespace dsa {

// `usable` is not empty. The same call gets the same route.
const Route& pick_route(const dsa_ctx& ctx, const ForwardCall& call,
                        std::span<const Route* const> usable);

}  // namespace dsa
