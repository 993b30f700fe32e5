// Every kernel of the registry for an operation, each with a context that uses no other.
#pragma once

#include <fnmatch.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "dsa.h"
#include "support/device.h"

namespace support {

struct DestroyContext {
  void operator()(dsa_ctx* ctx) const { dsa_ctx_destroy(ctx); }
};
using Context = std::unique_ptr<dsa_ctx, DestroyContext>;

// A context that takes the kernels matching `glob` alone (all when empty), with the GPU where the
// tests want it. The environment is read when a context is made, so it is set around that.
inline Context make_context(dsa_ctx_options options, const std::string& glob) {
  options.struct_size = sizeof options;
  if (device_wanted()) {
    options.device = DSA_DEVICE_CUDA;
    options.flags = DSA_CTX_DEVICE_OPTIONAL;
  }
  if (!glob.empty()) setenv("DSA_KERNEL", glob.c_str(), 1);
  dsa_ctx* ctx = nullptr;
  const dsa_status status = dsa_ctx_create(&options, &ctx);
  if (!glob.empty()) unsetenv("DSA_KERNEL");
  return Context(status == DSA_OK ? ctx : nullptr);
}
inline Context make_context(const std::string& glob = "", int32_t threads = 1) {
  dsa_ctx_options options{};
  options.num_threads = threads;
  return make_context(options, glob);
}

struct Kernel {
  std::string name;
  std::string family;
  bool usable;
  std::string reason;
  Context ctx;  // nullptr where the machine cannot run it

  bool on_cpu() const { return name.rfind("cpu.", 0) == 0; }
  // Whether it takes every valid call; others may refuse some, with a reason.
  bool complete() const { return on_cpu() && family != "amx"; }
  // Kernels of matrix instructions round P to bf16.
  double p_unit() const {
    return family == "amx" || name.find("mma.") != std::string::npos ? 1.0 / 512 : 0.0;
  }
  // The FP8 product of sm_90 keeps 13 bits below the largest of the terms that it adds at once.
  template <class Desc>
  double product_unit(const Desc& d) const {
    return family == "sm90" && d.q.dtype == DSA_F8_E4M3FN ? 1.0 / 1024 : 0.0;
  }
};

// DSA_TEST_KERNELS, a glob, leaves out other kernels.
inline bool is_wanted(const char* kernel) {
  const char* glob = std::getenv("DSA_TEST_KERNELS");
  return !glob || fnmatch(glob, kernel, 0) == 0;
}

inline std::vector<Kernel> kernels_of(int32_t operation, int32_t threads = 1) {
  std::vector<Kernel> out;
  const Context all = make_context();
  if (!all) return out;
  for (int32_t i = 0;; ++i) {
    dsa_kernel_info info{};
    info.struct_size = sizeof info;
    if (dsa_kernel_get(all.get(), i, &info) != DSA_OK) break;
    if (info.operation != operation || !is_wanted(info.name)) continue;
    out.push_back({info.name, info.family, info.usable == 1, info.reason,
                   info.usable == 1 ? make_context(info.name, threads) : nullptr});
  }
  return out;
}

inline dsa_status run_here(dsa_ctx* ctx, const dsa_topk_desc& d, const dsa_exec* exec) {
  return dsa_topk(ctx, &d, exec);
}
inline dsa_status run_here(dsa_ctx* ctx, const dsa_indexer_desc& d, const dsa_exec* exec) {
  return dsa_indexer(ctx, &d, exec);
}
inline dsa_status run_here(dsa_ctx* ctx, const dsa_indexer_topk_desc& d, const dsa_exec* exec) {
  return dsa_indexer_topk(ctx, &d, exec);
}
inline dsa_status run_here(dsa_ctx* ctx, const dsa_sparse_attn_desc& d, const dsa_exec* exec) {
  return dsa_sparse_attn(ctx, &d, exec);
}
inline dsa_status run_here(dsa_ctx* ctx, const dsa_merge_lse_desc& d, const dsa_exec* exec) {
  return dsa_merge_lse(ctx, &d, exec);
}

// Where the context's kernels are the GPU's, the tensors go there and back.
template <class Desc>
dsa_status run(dsa_ctx* ctx, const Desc& d, const dsa_exec* exec = nullptr) {
  if (!on_device(ctx)) return run_here(ctx, d, exec);
  Desc moved = d;
  return run_copied(
      tensors_of(moved), exec,
      [&] {
        uint64_t bytes = 0;
        dsa_workspace_size(ctx, &moved, &bytes);
        return bytes;
      },
      [&](const dsa_exec* used) { return run_here(ctx, moved, used); });
}

// The questions, asked for the device that run() would use.
template <class Desc>
dsa_status supports(dsa_ctx* ctx, const Desc& d) {
  const Desc asked = on_device(ctx) ? said_on_device(d) : d;
  return dsa_supports(ctx, &asked);
}
template <class Desc>
dsa_status workspace_size(dsa_ctx* ctx, const Desc& d, uint64_t* bytes) {
  const Desc asked = on_device(ctx) ? said_on_device(d) : d;
  return dsa_workspace_size(ctx, &asked, bytes);
}
template <class Desc>
dsa_status make_plan(dsa_ctx* ctx, const Desc& d, dsa_plan** plan) {
  const Desc asked = on_device(ctx) ? said_on_device(d) : d;
  return dsa_plan_create(ctx, &asked, plan);
}

}  // namespace support
