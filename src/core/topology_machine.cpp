// The machine's CPUs, by hwloc or by the kernel's own files.
#include <dirent.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

#include "core/topology_parts.h"

namespace dsa {
namespace {

// First number of a file such as ".../core_cpus_list" ("0,8" or "0-1"); `other` when it has none.
int32_t number_in(const std::string& path, int32_t other) {
  std::ifstream file(path);
  int32_t number;
  return file >> number ? number : other;
}

// cpuN has a link nodeM to its NUMA node.
int32_t node_of(const std::string& cpu_folder) {
  int32_t node = 0;
  DIR* folder = opendir(cpu_folder.c_str());
  if (!folder) return node;
  while (const dirent* entry = readdir(folder)) {
    const char* name = entry->d_name;
    if (std::strncmp(name, "node", 4) != 0 || name[4] < '0' || name[4] > '9') continue;
    node = static_cast<int32_t>(std::strtol(name + 4, nullptr, 10));
  }
  closedir(folder);
  return node;
}

}  // namespace

Machine machine_of_sysfs(const std::string& root, const cpu_set_t& allowed) {
  Machine machine;
  for (int32_t i = 0; i < CPU_SETSIZE; ++i) {
    if (!CPU_ISSET(i, &allowed)) continue;
    const std::string cpu = root + "/sys/devices/system/cpu/cpu" + std::to_string(i);
    // The first CPU of a core names it; kernels before 5.0 call the list thread_siblings_list.
    const int32_t core = number_in(cpu + "/topology/core_cpus_list",
                                   number_in(cpu + "/topology/thread_siblings_list", i));
    machine.push_back({i, core, node_of(cpu), number_in(cpu + "/topology/physical_package_id", 0)});
  }
  return machine;
}

#if defined(DSA_HAVE_HWLOC)
Machine machine_of(hwloc_topology_t topology) {
  const auto index_above = [topology](hwloc_obj_type_t type, hwloc_obj_t pu, int32_t other) {
    const hwloc_obj* above = hwloc_get_ancestor_obj_by_type(topology, type, pu);
    return above ? static_cast<int32_t>(above->logical_index) : other;
  };
  Machine by_id(CPU_SETSIZE, Cpu{-1, 0, 0, 0});
  for (hwloc_obj_t pu = nullptr;
       (pu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, pu)) != nullptr;) {
    if (pu->os_index >= CPU_SETSIZE) continue;
    const int32_t id = static_cast<int32_t>(pu->os_index);
    const int node = pu->nodeset ? hwloc_bitmap_first(pu->nodeset) : 0;
    // Without cores in the topology every CPU is one.
    by_id[pu->os_index] = {id,
                           index_above(HWLOC_OBJ_CORE, pu, static_cast<int32_t>(pu->logical_index)),
                           node < 0 ? 0 : node, index_above(HWLOC_OBJ_PACKAGE, pu, 0)};
  }
  Machine machine;
  for (const Cpu& cpu : by_id) {
    if (cpu.id >= 0) machine.push_back(cpu);
  }
  return machine;
}
#endif

}  // namespace dsa
