#include "hybrid/route.h"

namespace dsa {
namespace {

const Route* const kRoutes[] = {&kRouteGpu, &kRouteCpu, &kRouteHybrid, &kRouteHybridPrefilter};

}  // namespace

std::span<const Route* const> forward_routes() { return kRoutes; }

}  // namespace dsa
