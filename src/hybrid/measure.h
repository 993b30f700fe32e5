// Measures the constants of this machine.
#pragma once

#include <functional>

#include "core/context.h"
#include "hybrid/tune.h"

namespace dsa {

// `progress` (may be empty) hears of every step: the share that is done, and what comes next.
Tune measure_machine(dsa_ctx& ctx, const std::function<void(double, const char*)>& progress);

}  // namespace dsa
