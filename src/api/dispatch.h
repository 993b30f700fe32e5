// Picks a kernel for checked parameters and runs it with the caller's exec.
#pragma once

#include "api/descriptor.h"
#include "api/guard.h"
#include "api/make_params.h"
#include "core/pick.h"

namespace dsa {

void check_exec(const dsa_exec& exec, const CallDevice& device);

// The caller's part of a run. Throws where its workspace is smaller than `name` needs.
Run make_run(const dsa_ctx& ctx, const dsa_exec* exec, const char* name, uint64_t needed);

// Checks exec, takes its plan's kernel or picks one, finds workspace, launches.
void launch(dsa_ctx& ctx, const Call& call, const dsa_exec* exec);

// An operation's entry point: validate, pick, run.
template <class Desc>
dsa_status run_operation(dsa_ctx* ctx, const char* op, int32_t kind, const Desc* desc,
                         const dsa_exec* exec) noexcept {
  return guarded([&] {
    if (!ctx) fail(DSA_ERROR_INVALID, "%s: ctx is NULL", op);
    check_descriptor(op, desc, kind);
    CallDevice device = devices_of(*ctx);
    const auto params = make_params(*desc, {.needs_data = true, .device = &device});
    launch(*ctx, {kind, device, query_rows(params) > 0 ? &params : nullptr}, exec);
  });
}

}  // namespace dsa
