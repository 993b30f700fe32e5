// The Hopper indexer (wgmma): e4m3 queries with e4m3 keys, bf16 with bf16.
#pragma once

#include "core/kernel.h"

namespace dsa::cuda {

extern const Kernel kIndexerSm90;

}  // namespace dsa::cuda
