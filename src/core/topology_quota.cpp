// How many CPUs' worth of time the process's cgroup may use. Containers set this limit instead of
// an affinity mask; more threads than that are stopped in the middle of a parallel region.
#include <cstdint>
#include <fstream>
#include <sstream>

#include "core/topology_parts.h"

namespace dsa {
namespace {

bool starts_with(const std::string& text, const std::string& head) {
  return text.compare(0, head.size(), head) == 0;
}

// `word` as one entry of a comma list.
bool lists(const std::string& list, const char* word) {
  std::istringstream in(list);
  for (std::string entry; std::getline(in, entry, ',');) {
    if (entry == word) return true;
  }
  return false;
}

// Quota / period of one folder, rounded up; 0: no limit there.
int32_t quota_of(const std::string& folder, bool v2) {
  int64_t quota = -1, period = 0;
  if (v2) {
    std::ifstream file(folder + "/cpu.max");  // "200000 100000" or "max 100000"
    if (!(file >> quota >> period)) return 0;
  } else {
    std::ifstream quota_file(folder + "/cpu.cfs_quota_us"),
        period_file(folder + "/cpu.cfs_period_us");
    if (!(quota_file >> quota) || !(period_file >> period)) return 0;
  }
  if (quota <= 0 || period <= 0) return 0;
  const int64_t cpus = (quota - 1) / period + 1;
  return cpus > 65536 ? 0 : static_cast<int32_t>(cpus);
}

// Smallest limit of a folder and all above it, up to where the hierarchy is mounted.
int32_t quota_up_from(std::string folder, const std::string& mount, bool v2) {
  int32_t least = 0;
  while (starts_with(folder, mount)) {
    const int32_t here = quota_of(folder, v2);
    if (here > 0 && (least == 0 || here < least)) least = here;
    if (folder.size() <= mount.size()) break;
    folder.erase(folder.rfind('/'));
  }
  return least;
}

// Path of the process in the hierarchy with the cpu controller (v1) or in the one of v2; "" when
// it has none. Lines are "4:cpu,cpuacct:/path"; v2's is "0::/path".
std::string cgroup_path(const std::string& root, bool v2) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (v2 ? controllers.empty() : lists(controllers, "cpu")) return line.substr(second + 1);
  }
  return "";
}

}  // namespace

int32_t cgroup_quota(const std::string& root) {
  int32_t least = 0;
  std::ifstream file(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    // "32 31 0:29 /part/of/it /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu"
    std::istringstream in(line);
    std::string skipped, shown, mount, word, type, source, options;
    in >> skipped >> skipped >> skipped >> shown >> mount;
    while (in >> word && word != "-") continue;
    in >> type >> source >> options;
    const bool v2 = type == "cgroup2";
    if (!v2 && !(type == "cgroup" && lists(options, "cpu"))) continue;

    std::string path = cgroup_path(root, v2);
    if (path.empty()) continue;
    if (shown != "/") path = starts_with(path, shown) ? path.substr(shown.size()) : "";
    // A path outside of what is mounted here cannot be followed; the mount itself still can.
    if (path == "/" || path.find("..") != std::string::npos) path.clear();
    mount.insert(0, root);
    const int32_t here = quota_up_from(mount + path, mount, v2);
    if (here > 0 && (least == 0 || here < least)) least = here;
  }
  return least;
}

}  // namespace dsa
