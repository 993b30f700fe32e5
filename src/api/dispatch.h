// Picks a kernel for checked parameters and runs it with the caller's exec.
#pragma once

#include "api/descriptor.h"
#include "api/guard.h"
#include "api/make_params.h"
#include "core/context.h"

namespace dsa {

// The best usable kernel that does not refuse; throws DSA_ERROR_UNSUPPORTED with the reasons.
// `refused` (optional) collects "name: reason".
const Kernel& pick_kernel(const dsa_ctx& ctx, int32_t operation, const void* params,
                          std::vector<std::string>* refused = nullptr);

// Checks exec, takes its plan's kernel or picks one, finds workspace, launches.
void launch(dsa_ctx& ctx, int32_t operation, const void* params, const dsa_exec* exec);

// An operation's entry point: validate, pick, run.
template <class Desc>
dsa_status run_operation(dsa_ctx* ctx, const char* op, int32_t kind, const Desc* desc,
                         const dsa_exec* exec) noexcept {
  return guarded([&] {
    if (!ctx) fail(DSA_ERROR_INVALID, "%s: ctx is NULL", op);
    check_descriptor(op, desc, kind);
    const auto params = make_params(*desc, {.needs_data = true});
    launch(*ctx, kind, query_rows(params) > 0 ? &params : nullptr, exec);
  });
}

}  // namespace dsa
