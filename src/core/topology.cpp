#include "core/topology.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>

#include "core/error.h"
#include "core/topology_parts.h"

namespace dsa {
namespace {

std::string range_text(const cpu_set_t& cpus) {
  std::string out;
  for (int32_t i = 0; i < CPU_SETSIZE; ++i) {
    if (!CPU_ISSET(i, &cpus)) continue;
    int32_t last = i;
    while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &cpus)) ++last;
    if (!out.empty()) out += ',';
    out += std::to_string(i);
    if (last > i) out.append("-").append(std::to_string(last));
    i = last;
  }
  return out.empty() ? "none" : out;
}

bool in_mask(const CpuRequest& request, int32_t cpu) {
  const uint64_t word = static_cast<uint64_t>(cpu) / 64;
  return word < request.cpu_mask_words && (request.cpu_mask[word] >> (cpu % 64) & 1) != 0;
}

Machine on_node(const Machine& cpus, int32_t node) {
  Machine out;
  for (const Cpu& cpu : cpus) {
    if (cpu.node == node) out.push_back(cpu);
  }
  return out;
}

// One CPU of each physical core: the caller's own where it sits, else the first.
Machine one_per_core(const Machine& cpus, int32_t current_cpu) {
  Machine out;
  for (const Cpu& cpu : cpus) {
    const auto same = [&cpu](const Cpu& other) { return other.core == cpu.core; };
    const auto found = std::find_if(out.begin(), out.end(), same);
    if (found == out.end()) {
      out.push_back(cpu);
    } else if (cpu.id == current_cpu) {
      *found = cpu;
    }
  }
  return out;
}

// The node the caller runs on; where it may not compute there, the one with most CPUs left.
int32_t nearest_node(const Machine& cpus, int32_t current_cpu) {
  int32_t best = -1;
  size_t most = 0;
  for (const Cpu& cpu : cpus) {
    if (cpu.id == current_cpu) return cpu.node;
    const size_t here = on_node(cpus, cpu.node).size();
    if (here > most) {
      most = here;
      best = cpu.node;
    }
  }
  return best;
}

Machine allowed_cpus(const Machine& machine, const Surroundings& around,
                     const CpuRequest& request) {
  Machine cpus;
  for (const Cpu& cpu : machine) {
    if (!CPU_ISSET(cpu.id, &around.allowed)) continue;
    if (request.cpu_mask && !in_mask(request, cpu.id)) continue;
    cpus.push_back(cpu);
  }
  if (cpus.empty() && request.cpu_mask) {
    fail(DSA_ERROR_INVALID,
         "ctx_options.cpu_mask has no CPU that this process may use; its affinity mask: %s",
         range_text(around.allowed).c_str());
  }
  return cpus;
}

Machine cpus_of_node(const Machine& machine, const Machine& cpus, int32_t numa_node) {
  const int32_t node = numa_node - 1;
  if (on_node(machine, node).empty()) {
    std::set<int32_t> nodes;
    for (const Cpu& cpu : machine) nodes.insert(cpu.node);
    std::string list;
    for (const int32_t n : nodes) list.append(list.empty() ? "" : ",").append(std::to_string(n));
    fail(DSA_ERROR_INVALID, "ctx_options.numa_node is %d (node %d), nodes with CPUs are %s",
         numa_node, node, list.c_str());
  }
  Machine out = on_node(cpus, node);
  if (out.empty()) {
    fail(DSA_ERROR_INVALID,
         "ctx_options.numa_node is %d (node %d), which has no CPU that this process may use",
         numa_node, node);
  }
  return out;
}

template <class Field>
std::string count_of(const Machine& machine, Field field, const char* one, const char* many) {
  std::set<int32_t> seen;
  for (const Cpu& cpu : machine) seen.insert(cpu.*field);
  return std::to_string(seen.size()).append(" ").append(seen.size() == 1 ? one : many);
}

std::string view_of(const Machine& machine) {
  return count_of(machine, &Cpu::package, "package", "packages") + ", " +
         count_of(machine, &Cpu::node, "NUMA node", "NUMA nodes") + ", " +
         count_of(machine, &Cpu::core, "core", "cores") + ", " +
         count_of(machine, &Cpu::id, "CPU", "CPUs");
}

int32_t first_number(const char* name) {
  const char* value = std::getenv(name);
  const long number = value ? std::strtol(value, nullptr, 10) : 0;  // "4,2" gives 4
  return number > 0 && number <= 65536 ? static_cast<int32_t>(number) : 0;
}

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value && *value;
}

// A kernel for more than CPU_SETSIZE CPUs refuses a cpu_set_t, so the mask is read into a larger
// one; CPUs past CPU_SETSIZE are not used.
cpu_set_t affinity_mask() {
  constexpr size_t kBytes = 8192 / 8;
  alignas(cpu_set_t) unsigned char bytes[kBytes] = {};
  cpu_set_t out;
  CPU_ZERO(&out);
  const bool known = sched_getaffinity(0, kBytes, reinterpret_cast<cpu_set_t*>(bytes)) == 0;
  for (int32_t i = 0; i < CPU_SETSIZE; ++i) {
    if (known ? (bytes[i / 8] >> (i % 8) & 1) != 0 : i == 0) CPU_SET(i, &out);
  }
  return out;
}

const pid_t g_loaded_in = getpid();

Surroundings look_around() {
  Surroundings around;
  around.allowed = affinity_mask();
  around.current_cpu = sched_getcpu();
  around.quota = cgroup_quota("");
  around.omp_threads = first_number("OMP_NUM_THREADS");
  around.omp_limit = first_number("OMP_THREAD_LIMIT");
  around.omp_places = is_set("OMP_PROC_BIND") || is_set("OMP_PLACES") ||
                      is_set("GOMP_CPU_AFFINITY") || is_set("KMP_AFFINITY");
  around.forked = getpid() != g_loaded_in;
  return around;
}

Machine this_machine(const cpu_set_t& allowed) {
#if defined(DSA_HAVE_HWLOC)
  hwloc_topology_t topology;
  if (hwloc_topology_init(&topology) == 0) {
    const std::unique_ptr<hwloc_topology, decltype(&hwloc_topology_destroy)> owner(
        topology, hwloc_topology_destroy);
    // No devices, no caches; and not hwloc's x86 part, which moves the calling thread over all
    // CPUs to ask each for its CPUID: the kernel's files say the same.
    hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_type_filter(topology, HWLOC_OBJ_PACKAGE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_type_filter(topology, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
#if HWLOC_API_VERSION >= 0x00020100
    hwloc_topology_set_components(topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
#endif
    // HWLOC_SYNTHETIC and the like describe another machine, on which nothing can be bound.
    if (hwloc_topology_load(topology) == 0 && hwloc_topology_is_thissystem(topology)) {
      Machine machine = machine_of(topology);
      if (!machine.empty()) return machine;
    }
  }
#endif
  return machine_of_sysfs("", allowed);
}

}  // namespace

CpuChoice choose_cpus_of(const Machine& machine, const Surroundings& around,
                         const CpuRequest& request) {
  const Machine allowed = allowed_cpus(machine, around, request);
  CpuChoice choice;
  choice.view = view_of(machine);

  // Where threads go, from the tightest place that serves to the widest. A mask is the caller's own
  // choice of CPUs, taken as it is; else data and threads stay on one node.
  std::vector<Machine> places;
  if (request.numa_node > 0) {
    const Machine node = cpus_of_node(machine, allowed, request.numa_node);
    places = {one_per_core(node, around.current_cpu), node};
  } else {
    if (!request.cpu_mask) {
      const Machine by_device = on_node(allowed, request.device_node);
      places.push_back(one_per_core(
          by_device.empty() ? on_node(allowed, nearest_node(allowed, around.current_cpu))
                            : by_device,
          around.current_cpu));
    }
    places.push_back(one_per_core(allowed, around.current_cpu));
    places.push_back(allowed);
  }
  if (places.front().empty()) places = {allowed};

  // A forked child has a copy of what libgomp knows of its threads, but not the threads: a parallel
  // region waits for them for ever, or crashes, even in a context that the child made itself.
  const bool serial = around.forked && request.openmp;

  const int32_t cores = std::max<int32_t>(1, static_cast<int32_t>(places.front().size()));
  if (serial) {
    choice.threads = 1;
    choice.why = "a forked child: OpenMP's threads stayed in the parent";
  } else if (request.num_threads > 0) {
    choice.threads = request.num_threads;
    choice.why = "num_threads or DSA_NUM_THREADS";
  } else if (around.omp_threads > 0) {
    choice.threads = around.omp_threads;
    choice.why = "OMP_NUM_THREADS";
  } else {
    choice.threads = cores;
    choice.why = std::to_string(cores) + (cores == 1 ? " core" : " cores") +
                 (request.numa_node > 0 ? " of the NUMA node asked for"
                  : request.cpu_mask    ? " of cpu_mask"
                                        : " of the nearest NUMA node");
    if (around.quota > 0 && around.quota < choice.threads) {
      choice.threads = around.quota;
      choice.why += ", cgroup quota of " + std::to_string(around.quota);
    }
  }
  if (request.num_threads == 0 && around.omp_limit > 0 && around.omp_limit < choice.threads) {
    choice.threads = around.omp_limit;
    choice.why += ", OMP_THREAD_LIMIT";
  }

  const Machine* place = &places.back();
  for (const Machine& candidate : places) {
    if (candidate.size() < static_cast<size_t>(choice.threads)) continue;
    place = &candidate;
    break;
  }
  CPU_ZERO(&choice.cpus);
  for (const Cpu& cpu : *place) {
    CPU_SET(cpu.id, &choice.cpus);
    if (&cpu == &place->front()) choice.numa_node = cpu.node;
    if (cpu.node != choice.numa_node) choice.numa_node = -1;
  }
  choice.narrow =
      !around.omp_places && !place->empty() && CPU_COUNT(&choice.cpus) < CPU_COUNT(&around.allowed);
  return choice;
}

CpuChoice choose_cpus(const CpuRequest& request) {
  const Surroundings around = look_around();
  return choose_cpus_of(this_machine(around.allowed), around, request);
}

}  // namespace dsa
