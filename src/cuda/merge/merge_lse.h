// The merge kernel of the CUDA module, for the registry.
#pragma once

#include "core/kernel.h"

namespace dsa::cuda {

extern const Kernel kMergeLse;

}  // namespace dsa::cuda
