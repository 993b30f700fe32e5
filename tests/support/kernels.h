// Every kernel of the registry for an operation, each with a context that uses no other.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "dsa.h"

namespace support {

struct DestroyContext {
  void operator()(dsa_ctx* ctx) const { dsa_ctx_destroy(ctx); }
};
using Context = std::unique_ptr<dsa_ctx, DestroyContext>;

// A context that takes the kernels matching `glob` alone (all when empty). The environment is read
// when a context is made, so it is set around that.
inline Context make_context(const std::string& glob = "", int32_t threads = 1) {
  dsa_ctx_options options{};
  options.struct_size = sizeof options;
  options.num_threads = threads;
  if (!glob.empty()) setenv("DSA_KERNEL", glob.c_str(), 1);
  dsa_ctx* ctx = nullptr;
  const dsa_status status = dsa_ctx_create(&options, &ctx);
  if (!glob.empty()) unsetenv("DSA_KERNEL");
  return Context(status == DSA_OK ? ctx : nullptr);
}

struct Kernel {
  std::string name;
  std::string family;
  bool usable;
  std::string reason;
  Context ctx;  // nullptr where the machine cannot run it

  double p_unit() const { return family == "amx" ? 1.0 / 512 : 0.0; }
};

inline std::vector<Kernel> kernels_of(int32_t operation, int32_t threads = 1) {
  std::vector<Kernel> out;
  const Context all = make_context();
  if (!all) return out;
  for (int32_t i = 0;; ++i) {
    dsa_kernel_info info{};
    info.struct_size = sizeof info;
    if (dsa_kernel_get(all.get(), i, &info) != DSA_OK) break;
    if (info.operation != operation) continue;
    out.push_back({info.name, info.family, info.usable == 1, info.reason,
                   info.usable == 1 ? make_context(info.name, threads) : nullptr});
  }
  return out;
}

inline dsa_status run(dsa_ctx* ctx, const dsa_topk_desc& d, const dsa_exec* exec = nullptr) {
  return dsa_topk(ctx, &d, exec);
}
inline dsa_status run(dsa_ctx* ctx, const dsa_indexer_desc& d, const dsa_exec* exec = nullptr) {
  return dsa_indexer(ctx, &d, exec);
}
inline dsa_status run(dsa_ctx* ctx, const dsa_indexer_topk_desc& d,
                      const dsa_exec* exec = nullptr) {
  return dsa_indexer_topk(ctx, &d, exec);
}
inline dsa_status run(dsa_ctx* ctx, const dsa_sparse_attn_desc& d, const dsa_exec* exec = nullptr) {
  return dsa_sparse_attn(ctx, &d, exec);
}
inline dsa_status run(dsa_ctx* ctx, const dsa_merge_lse_desc& d, const dsa_exec* exec = nullptr) {
  return dsa_merge_lse(ctx, &d, exec);
}

}  // namespace support
