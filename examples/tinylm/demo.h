#pragma once
// The demonstration: score, check, continue a prompt.

#include "options.h"

namespace tinylm {

// Prints as it goes. False: a check failed. Throws BadInput.
bool run_demo(const Options &options);

}  // namespace tinylm
