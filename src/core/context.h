// A context: the CPU's tier, threads and scratch memory, settings, and the kernels they allow.
#pragma once

#include <string>
#include <vector>

#include "core/kernel.h"
#include "core/log.h"
#include "core/parallel.h"
#include "core/topology.h"
#include "core/workspace.h"
#include "cpu/isa.h"
#include "dsa.h"

namespace dsa {

// A kernel of the build with what this context says of it.
struct KernelState {
  const Kernel* kernel;
  std::string reason;  // why it cannot be used; "" when it can
};

// Settings of the environment, read once.
struct Environment {
  std::string log, cpu_isa, kernel_glob, backend_path;
  int32_t num_threads = 0;
  static Environment read();
};

}  // namespace dsa

struct dsa_ctx {
  explicit dsa_ctx(const dsa_ctx_options& options);

  dsa::Environment environment;
  dsa::Log log;
  std::string tier_why;  // before `tier`, whose initialiser fills it
  dsa::CpuTier tier;     // highest that may be used
  dsa::CpuChoice cpus;
  dsa::Parallel parallel;
  dsa::WorkspacePool workspaces;
  std::vector<dsa::KernelState> kernels;  // in registry order
};

struct dsa_plan {
  const dsa_ctx* ctx;
  const dsa::Kernel* kernel;
  std::vector<std::string> refused;
};

namespace dsa {

// JSON text for dsa_ctx_describe.
std::string describe(const dsa_ctx& ctx);

}  // namespace dsa
