// The parts of choose_cpus, each of which can be tested without the machine it describes.
#pragma once

#include <sched.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/topology.h"

#if defined(DSA_HAVE_HWLOC)
#include <hwloc.h>
#endif

namespace dsa {

// One logical CPU and where it sits. `core` is the same for the hyperthreads of a physical core.
struct Cpu {
  int32_t id;
  int32_t core;
  int32_t node;
  int32_t package;
};

// Ascending by id; CPUs past CPU_SETSIZE are left out.
using Machine = std::vector<Cpu>;

// What the process is allowed and told from outside.
struct Surroundings {
  cpu_set_t allowed = {};    // affinity mask of the calling thread
  int32_t current_cpu = -1;  // that it runs on; -1: not known
  int32_t quota = 0;         // CPUs by the cgroup, rounded up; 0: no limit
  int32_t omp_threads = 0;   // first number of OMP_NUM_THREADS; 0: not set
  int32_t omp_limit = 0;     // OMP_THREAD_LIMIT; 0: not set
  bool omp_places = false;   // the caller binds OpenMP's threads by OMP_PROC_BIND or the like
  bool forked = false;       // a child of the process that loaded the library
};

CpuChoice choose_cpus_of(const Machine& machine, const Surroundings& around,
                         const CpuRequest& request);

#if defined(DSA_HAVE_HWLOC)
Machine machine_of(hwloc_topology_t topology);
#endif

// By the kernel's files below `root` + "/sys/devices/system", for the CPUs of `allowed`.
Machine machine_of_sysfs(const std::string& root, const cpu_set_t& allowed);

// CPU quota of the process's cgroup and all above it (v2: cpu.max, v1: cpu.cfs_quota_us), in whole
// CPUs, rounded up; 0: none. Files are looked up below `root`.
int32_t cgroup_quota(const std::string& root);

}  // namespace dsa
