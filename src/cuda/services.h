// What the module offers to calls of more than one kernel.
#pragma once

#include "core/backend.h"

namespace dsa::cuda {

extern const BackendServices kServices;

}  // namespace dsa::cuda
