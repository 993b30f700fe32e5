#include "core/pick.h"

#include "core/error.h"

namespace dsa {

CallDevice devices_of(const dsa_ctx& ctx) {
  CallDevice device;
  if (const DeviceInfo* own = ctx.device()) device.cuda_id = own->id;
  device.cuda_missing = ctx.cuda_missing.c_str();
  return device;
}

const Kernel& pick_kernel(const dsa_ctx& ctx, const Call& call, std::vector<std::string>* refused) {
  // Where no tensor says otherwise the call is the CPU's.
  const int32_t device = call.device.type == 0 ? DSA_DEVICE_CPU : call.device.type;
  const Kernel* picked = nullptr;
  const char* last_name = "no kernel";
  std::string last_reason = "this build has none";
  for (const KernelState& state : ctx.kernels) {
    if (state.kernel->operation != call.operation || state.kernel->device != device) continue;
    const char* reason = state.reason.c_str();
    if (state.reason.empty()) reason = state.kernel->refuse(call.params);
    if (!reason || !*reason) {
      picked = state.kernel;
      break;
    }
    last_name = state.kernel->name;
    last_reason = reason;
    if (refused) refused->push_back(std::string(last_name) + ": " + reason);
  }
  if (!picked) {
    fail(DSA_ERROR_UNSUPPORTED, "no kernel takes this call; %s: %s", last_name,
         last_reason.c_str());
  }
  return *picked;
}

}  // namespace dsa
