// A kernel: one implementation of one operation, as the registry, the plans, dsa-info and the tests
// see it.
#pragma once

#include "core/parallel.h"
#include "dsa.h"

namespace dsa {

// CPU instruction set tiers in order; a machine that has one has those before it.
enum class CpuTier : int32_t { kScalar = 0, kAvx2 = 1, kAvx512 = 2, kAmx = 3 };

// What a kernel may know of the GPU that it runs on.
struct DeviceInfo {
  int32_t id = 0;
  // 90 for 9.0. That of the code it runs: less than its own where the module was compiled for
  // earlier devices alone, and then kernels for its own are empty.
  int32_t compute_capability = 0;
  int32_t own_capability = 0;
  int32_t multiprocessors = 0;
  int32_t shared_bytes = 0;  // most dynamic shared memory of a block
  int32_t numa_node = -1;    // whose memory it reaches fastest; -1: not known
  int64_t l2_bytes = 0;
  char name[256] = {};
};

// What a kernel gets besides its parameters.
struct Run {
  const Parallel* parallel = nullptr;
  void* parallel_user = nullptr;
  void* stream = nullptr;              // cudaStream_t
  const DeviceInfo* device = nullptr;  // of a CUDA kernel
  char* workspace = nullptr;  // 256-byte aligned, as many bytes as `workspace` below asked for

  int32_t max_lanes() const { return parallel->max_lanes(); }
  // Calls f(lane) for lane in [0, lanes), lanes <= max_lanes(), possibly at once; returns when all
  // are done. One lane runs on the caller's thread without any thread machinery. A lane must be
  // right when lanes run one after the other in any order. f must not throw.
  template <class F>
  void lanes(int32_t lanes, F&& f) const {
    if (lanes <= 1) {
      f(0);
      return;
    }
    parallel->run(
        lanes, parallel_user,
        [](void* arg, int64_t lane) { (*static_cast<F*>(arg))(int32_t(lane)); },
        const_cast<void*>(static_cast<const void*>(&f)));
  }
};

struct Kernel {
  const char* name;    // "cpu.topk.avx512"
  const char* family;  // "avx512"
  int32_t operation;
  int32_t device;
  CpuTier tier;  // of a CPU kernel
  // Compute capabilities (90 for 9.0) of a CUDA kernel; max 0: all later ones.
  int32_t min_capability, max_capability;
  // Why this kernel cannot do the call (static text), or nullptr. Parameters of the operation.
  const char* (*refuse)(const void* params);
  // Bytes of workspace with up to `lanes` lanes (CUDA: multiprocessors): from host extents only,
  // monotone in each.
  uint64_t (*workspace)(const void* params, int32_t lanes);
  // CPU: does the call. CUDA: enqueues it. 0, or the device runtime's error number.
  int32_t (*launch)(const void* params, const Run& run);
  // CUDA: brings the kernel's functions onto the current device, so that no launch has to (a graph
  // capture would forbid it). nullptr on the CPU.
  int32_t (*load)();
};

// Wraps typed functions: make_cpu_kernel<TopkParams, refuse, workspace, launch>(name, family,
// tier).
template <class P, const char* (*Refuse)(const P&), uint64_t (*Workspace)(const P&, int32_t),
          void (*Launch)(const P&, const Run&)>
constexpr Kernel make_cpu_kernel(const char* name, const char* family, CpuTier tier) {
  return {name,
          family,
          P::kOperation,
          DSA_DEVICE_CPU,
          tier,
          0,
          0,
          [](const void* p) { return Refuse(*static_cast<const P*>(p)); },
          [](const void* p, int32_t lanes) { return Workspace(*static_cast<const P*>(p), lanes); },
          [](const void* p, const Run& run) {
            Launch(*static_cast<const P*>(p), run);
            return 0;
          },
          nullptr};
}

// Kernels, best first within an operation.
struct KernelList {
  const Kernel* const* data;
  int32_t size;
};
KernelList cpu_kernels();

}  // namespace dsa
