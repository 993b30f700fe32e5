// Every kernel of the module, best first within an operation.
#pragma once

#include "core/kernel.h"

namespace dsa::cuda {

KernelList kernels();

}  // namespace dsa::cuda
