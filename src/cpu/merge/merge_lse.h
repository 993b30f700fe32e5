// The merge kernel of the CPU, for the registry.
#pragma once

#include "core/kernel.h"

namespace dsa::cpu {

extern const Kernel kMergeLse;

}  // namespace dsa::cpu
