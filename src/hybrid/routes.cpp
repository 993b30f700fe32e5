#include "hybrid/route.h"

namespace dsa {
namespace {

const Route* const kRoutes[] = {&kRouteGpu, &kRouteCpu};

}  // namespace

std::span<const Route* const> forward_routes() { return kRoutes; }

}  // namespace dsa
