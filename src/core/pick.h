// Which kernel does a call.
#pragma once

#include <string>
#include <vector>

#include "core/context.h"

namespace dsa {

// A call whose parameters are checked.
struct Call {
  int32_t operation;
  CallDevice device;
  const void* params;  // nullptr: no query rows, nothing to do
};

// What a call's tensors are checked against.
CallDevice devices_of(const dsa_ctx& ctx);

// The best usable kernel that does not refuse; throws DSA_ERROR_UNSUPPORTED with the reasons.
// `refused` (optional) collects "name: reason".
const Kernel& pick_kernel(const dsa_ctx& ctx, const Call& call,
                          std::vector<std::string>* refused = nullptr);

}  // namespace dsa
