// A context: the CPU's tier, threads and scratch memory, settings, and the kernels they allow.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/cuda_module.h"
#include "core/kernel.h"
#include "core/log.h"
#include "core/parallel.h"
#include "core/topology.h"
#include "core/workspace.h"
#include "cpu/isa.h"
#include "dsa.h"
#include "hybrid/tune_file.h"

namespace dsa {

struct Route;      // hybrid/route.h
class HybridRing;  // hybrid/ring.h

// A kernel of the build with what this context says of it.
struct KernelState {
  const Kernel* kernel;
  std::string reason;  // why it cannot be used; "" when it can
};

// Settings of the environment, read once.
struct Environment {
  std::string log, cpu_isa, kernel_glob, backend_path, tune_file;
  int32_t num_threads = 0;
  static Environment read();
};

}  // namespace dsa

struct dsa_ctx {
  explicit dsa_ctx(const dsa_ctx_options& options);
  ~dsa_ctx();

  dsa::Environment environment;
  dsa::Log log;
  std::string cuda_missing;               // why there is no device although one was asked for
  std::unique_ptr<dsa::CudaModule> cuda;  // nullptr: CPU only. Its initialiser fills cuda_missing
  std::string tier_why;                   // before `tier`, whose initialiser fills it
  dsa::CpuTier tier;                      // highest that may be used
  dsa::CpuChoice cpus;
  dsa::Parallel parallel;
  dsa::WorkspacePool workspaces;
  std::vector<dsa::KernelState> kernels;    // in registry order
  std::unique_ptr<dsa::HybridRing> hybrid;  // of a device
  std::string machine;                      // one line, whose constants `tune` holds
  dsa::TunePath tune_path;                  // their file
  dsa::TuneSlot tune;

  // The CUDA device, or nullptr.
  const dsa::DeviceInfo* device() const {
    return cuda && cuda->has_device() ? &cuda->info() : nullptr;
  }
  // Lanes that a kernel's workspace is asked for.
  int32_t lanes_of(const dsa::Kernel& kernel) const {
    return kernel.device == DSA_DEVICE_CUDA ? device()->multiprocessors : parallel.max_lanes();
  }

 private:
  std::unique_ptr<dsa::CudaModule> open_device(const dsa_ctx_options& options);
  void judge_kernels();
  void read_tune(const dsa_ctx_options& options);
};

struct dsa_plan {
  const dsa_ctx* ctx = nullptr;
  const dsa::Kernel* kernel = nullptr;
  const dsa::Route* route = nullptr;  // of dsa_forward, which has no kernel of its own
  std::vector<std::string> refused;
};

namespace dsa {

// JSON text for dsa_ctx_describe.
std::string describe(const dsa_ctx& ctx);

}  // namespace dsa
