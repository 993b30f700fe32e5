// Which cores the CPU path uses and how many threads: hwloc's view within the process's affinity
// mask and its cgroup's quota.
#pragma once

#include <sched.h>

#include <cstdint>
#include <string>

namespace dsa {

struct CpuRequest {
  int32_t num_threads = 0;   // 0: by the environment, else one per chosen core
  int32_t numa_node = 0;     // 0: the nearest; else node + 1
  int32_t device_node = -1;  // of the device, whose nearest is meant then; -1: the caller's
  const uint64_t* cpu_mask = nullptr;
  uint64_t cpu_mask_words = 0;
  bool openmp = true;  // the threads are OpenMP's, not those of a parallel_for
};

struct CpuChoice {
  int32_t threads = 1;
  cpu_set_t cpus = {};     // one CPU per chosen physical core, or more where threads need them
  bool narrow = false;     // fewer CPUs than the process may use: workers are bound to `cpus`
  int32_t numa_node = -1;  // -1: several
  std::string why;         // one line: how the number came about
  std::string view;        // the machine: packages, nodes, cores, CPUs
};

// Throws Error(DSA_ERROR_INVALID) for a node or mask that has no CPU of this process.
CpuChoice choose_cpus(const CpuRequest& request);

}  // namespace dsa
