// A kernel's arguments in shared memory.
#pragma once

#include <cstdint>

namespace dsa::cuda {

// All of them in one round trip: they are twice the constant cache, and a block that meets them
// there one line after the other waits 5,000 cycles. By all threads, before a barrier.
template <class Arguments>
__device__ inline void copy_arguments(const Arguments& from, char* to) {
  static_assert(alignof(Arguments) == 16);
  const uint4* line = reinterpret_cast<const uint4*>(&from);
  asm volatile("" : "+l"(line));  // as memory, not as constants
  for (uint32_t i = threadIdx.x; i < sizeof(Arguments) / 16; i += blockDim.x) {
    reinterpret_cast<uint4*>(to)[i] = line[i];
  }
}

}  // namespace dsa::cuda
