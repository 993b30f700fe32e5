// The choice of cores and threads: on synthetic machines, under a narrowed affinity mask, with
// cgroup files of both versions, and in a forked child.
#include "core/topology.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/topology_parts.h"
#include "dsa.h"

namespace dsa {
namespace {

namespace fs = std::filesystem;

cpu_set_t set_of(std::initializer_list<std::pair<int, int>> ranges) {
  cpu_set_t out;
  CPU_ZERO(&out);
  for (const auto& [first, last] : ranges) {
    for (int i = first; i <= last; ++i) CPU_SET(i, &out);
  }
  return out;
}

std::vector<int> cpus_of(const CpuChoice& choice) {
  std::vector<int> out;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &choice.cpus)) out.push_back(i);
  }
  return out;
}

std::vector<int> every(int step, int first, int count) {
  std::vector<int> out;
  for (int i = 0; i < count; ++i) out.push_back(first + i * step);
  return out;
}

std::string error_of(const Machine& machine, const Surroundings& around,
                     const CpuRequest& request) {
  try {
    choose_cpus_of(machine, around, request);
  } catch (const Error& error) {
    EXPECT_EQ(error.status, DSA_ERROR_INVALID);
    return error.text;
  }
  return "no error";
}

// Two packages of one NUMA node each, 8 cores of 2 hyperthreads: core c has CPUs 2c and 2c + 1.
Machine two_packages() {
  Machine machine;
  for (int32_t i = 0; i < 32; ++i) machine.push_back({i, i / 2, i / 16, i / 16});
  return machine;
}

struct TwoPackages : testing::Test {
  Machine machine = two_packages();
  Surroundings around;
  CpuRequest request;
  TwoPackages() {
    around.allowed = set_of({{0, 31}});
    around.current_cpu = 0;
  }
  CpuChoice choose() const { return choose_cpus_of(machine, around, request); }
};

TEST_F(TwoPackages, OneThreadPerCoreOfTheCallersNode) {
  CpuChoice choice = choose();
  EXPECT_EQ(choice.threads, 8);
  EXPECT_EQ(cpus_of(choice), every(2, 0, 8));
  EXPECT_TRUE(choice.narrow);
  EXPECT_EQ(choice.numa_node, 0);
  EXPECT_EQ(choice.view, "2 packages, 2 NUMA nodes, 16 cores, 32 CPUs");
  EXPECT_EQ(choice.why, "8 cores of the nearest NUMA node");

  around.current_cpu = 20;
  choice = choose();
  EXPECT_EQ(cpus_of(choice), every(2, 16, 8));
  EXPECT_EQ(choice.numa_node, 1);

  // The caller's own hyperthread stands for its core.
  around.current_cpu = 21;
  choice = choose();
  EXPECT_EQ(cpus_of(choice), (std::vector<int>{16, 18, 21, 22, 24, 26, 28, 30}));
}

// The device's node goes before the caller's, the one asked for before both.
TEST_F(TwoPackages, TheDevicesNode) {
  request.device_node = 1;
  EXPECT_EQ(choose().numa_node, 1);
  EXPECT_EQ(cpus_of(choose()), every(2, 16, 8));
  request.numa_node = 1;
  EXPECT_EQ(choose().numa_node, 0);
  request.numa_node = 0;
  around.allowed = set_of({{0, 15}});  // none of it may be used
  EXPECT_EQ(choose().numa_node, 0);
}

TEST_F(TwoPackages, RequestedNode) {
  request.numa_node = 2;
  const CpuChoice choice = choose();
  EXPECT_EQ(cpus_of(choice), every(2, 16, 8));
  EXPECT_EQ(choice.numa_node, 1);

  request.numa_node = 3;
  EXPECT_EQ(error_of(machine, around, request),
            "ctx_options.numa_node is 3 (node 2), nodes with CPUs are 0,1");
  request.numa_node = 2;
  around.allowed = set_of({{0, 15}});
  EXPECT_EQ(error_of(machine, around, request),
            "ctx_options.numa_node is 2 (node 1), which has no CPU that this process may use");
}

TEST_F(TwoPackages, AffinityMask) {
  around.allowed = set_of({{3, 6}, {18, 19}});
  around.current_cpu = 4;
  CpuChoice choice = choose();
  EXPECT_EQ(choice.threads, 3);
  EXPECT_EQ(cpus_of(choice), (std::vector<int>{3, 4, 6}));
  EXPECT_TRUE(choice.narrow);

  // The caller runs where it may not compute: the node with most CPUs left.
  around.current_cpu = -1;
  around.allowed = set_of({{0, 1}, {16, 23}});
  choice = choose();
  EXPECT_EQ(cpus_of(choice), every(2, 16, 4));

  // One core alone, one hyperthread of it: nothing is narrower than that.
  around.allowed = set_of({{7, 7}});
  around.current_cpu = 7;
  choice = choose();
  EXPECT_EQ(choice.threads, 1);
  EXPECT_EQ(cpus_of(choice), (std::vector<int>{7}));
  EXPECT_FALSE(choice.narrow);
  EXPECT_EQ(choice.why, "1 core of the nearest NUMA node");
}

TEST_F(TwoPackages, CpuMaskIsTakenAsItIs) {
  // Cores 6 to 9: on both nodes.
  const uint64_t words[2] = {0xff000, 0};
  request.cpu_mask = words;
  request.cpu_mask_words = 2;
  CpuChoice choice = choose();
  EXPECT_EQ(choice.threads, 4);
  EXPECT_EQ(cpus_of(choice), every(2, 12, 4));
  EXPECT_EQ(choice.numa_node, -1);
  EXPECT_EQ(choice.why, "4 cores of cpu_mask");

  request.numa_node = 1;
  choice = choose();
  EXPECT_EQ(cpus_of(choice), every(2, 12, 2));

  request.numa_node = 0;
  around.allowed = set_of({{0, 3}, {6, 7}});
  EXPECT_EQ(
      error_of(machine, around, request),
      "ctx_options.cpu_mask has no CPU that this process may use; its affinity mask: 0-3,6-7");
  request.cpu_mask_words = 0;
  EXPECT_NE(error_of(machine, around, request), "no error");
}

TEST_F(TwoPackages, Quota) {
  around.quota = 3;
  CpuChoice choice = choose();
  EXPECT_EQ(choice.threads, 3);
  EXPECT_EQ(choice.why, "8 cores of the nearest NUMA node, cgroup quota of 3");
  EXPECT_EQ(cpus_of(choice), every(2, 0, 8));
  around.quota = 12;
  EXPECT_EQ(choose().threads, 8);
}

TEST_F(TwoPackages, NumbersOfThreads) {
  around.quota = 2;
  around.omp_threads = 6;
  CpuChoice choice = choose();
  EXPECT_EQ(choice.threads, 6);
  EXPECT_EQ(choice.why, "OMP_NUM_THREADS");
  around.omp_limit = 5;
  EXPECT_EQ(choose().threads, 5);
  around.omp_threads = 0;
  around.quota = 0;
  choice = choose();
  EXPECT_EQ(choice.threads, 5);
  EXPECT_EQ(choice.why, "8 cores of the nearest NUMA node, OMP_THREAD_LIMIT");

  // More threads than the place holds: a wider one.
  request.num_threads = 8;
  EXPECT_EQ(cpus_of(choose()), every(2, 0, 8));
  request.num_threads = 9;
  choice = choose();
  EXPECT_EQ(choice.threads, 9);
  EXPECT_EQ(cpus_of(choice), every(2, 0, 16));
  EXPECT_EQ(choice.numa_node, -1);
  request.num_threads = 17;
  choice = choose();
  EXPECT_EQ(cpus_of(choice), every(1, 0, 32));
  EXPECT_FALSE(choice.narrow);
  request.num_threads = 100;
  EXPECT_EQ(choose().threads, 100);

  request.num_threads = 12;
  request.numa_node = 2;
  EXPECT_EQ(cpus_of(choose()), every(1, 16, 16));
}

TEST_F(TwoPackages, TheCallersOpenMpPlacesGoFirst) {
  around.omp_places = true;
  const CpuChoice choice = choose();
  EXPECT_FALSE(choice.narrow);
  EXPECT_EQ(choice.threads, 8);
}

TEST_F(TwoPackages, AForkedChildHasOneThreadOfOpenMp) {
  around.forked = true;
  request.num_threads = 4;
  EXPECT_EQ(choose().threads, 1);
  request.openmp = false;
  EXPECT_EQ(choose().threads, 4);
}

TEST(Topology, OneCpuPerCoreNeedsNoBinding) {
  Surroundings around;
  around.allowed = set_of({{0, 3}});
  const CpuChoice choice =
      choose_cpus_of({{0, 0, 0, 0}, {1, 1, 0, 0}, {2, 2, 0, 0}, {3, 3, 0, 0}}, around, {});
  EXPECT_EQ(choice.threads, 4);
  EXPECT_FALSE(choice.narrow);
  EXPECT_EQ(choice.view, "1 package, 1 NUMA node, 4 cores, 4 CPUs");
}

#if defined(DSA_HAVE_HWLOC)
Machine synthetic(const char* text) {
  hwloc_topology_t topology;
  EXPECT_EQ(hwloc_topology_init(&topology), 0);
  EXPECT_EQ(hwloc_topology_set_synthetic(topology, text), 0);
  EXPECT_EQ(hwloc_topology_load(topology), 0);
  Machine machine = machine_of(topology);
  hwloc_topology_destroy(topology);
  return machine;
}

TEST(TopologyHwloc, TwoPackages) {
  const Machine machine = synthetic("pack:2 [numa] core:8 pu:2");
  const Machine expected = two_packages();
  ASSERT_EQ(machine.size(), expected.size());
  for (size_t i = 0; i < machine.size(); ++i) {
    EXPECT_EQ(machine[i].id, expected[i].id);
    EXPECT_EQ(machine[i].core, expected[i].core);
    EXPECT_EQ(machine[i].node, expected[i].node);
    EXPECT_EQ(machine[i].package, expected[i].package);
  }
}

TEST(TopologyHwloc, FourNodesInOnePackage) {
  const Machine machine = synthetic("pack:1 group:4 [numa] core:4 pu:1");
  Surroundings around;
  around.allowed = set_of({{0, 15}});
  around.current_cpu = 9;
  const CpuChoice choice = choose_cpus_of(machine, around, {});
  EXPECT_EQ(choice.view, "1 package, 4 NUMA nodes, 16 cores, 16 CPUs");
  EXPECT_EQ(cpus_of(choice), every(1, 8, 4));
  EXPECT_EQ(choice.numa_node, 2);
}

TEST(TopologyHwloc, CpusNumberedAcrossPackages) {
  // As most machines count them: hyperthread 0 of all cores, then hyperthread 1 of all cores.
  const Machine machine = synthetic("pack:2 [numa] core:2 pu:2(indexes=0,4,1,5,2,6,3,7)");
  Surroundings around;
  around.allowed = set_of({{0, 7}});
  around.current_cpu = 6;
  const CpuChoice choice = choose_cpus_of(machine, around, {});
  EXPECT_EQ(cpus_of(choice), (std::vector<int>{3, 6}));
}
#endif

// A tree of files to be read in place of /proc and /sys.
class FakeRoot {
 public:
  FakeRoot() {
    char name[] = "/tmp/dsa-topology-XXXXXX";
    root_ = mkdtemp(name);
  }
  ~FakeRoot() { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) const {
    const fs::path file = root_ + path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  const std::string& path() const { return root_; }

 private:
  std::string root_;
};

TEST(TopologyQuota, Version2) {
  const FakeRoot root;
  EXPECT_EQ(cgroup_quota(root.path()), 0);
  root.write("/proc/self/cgroup", "0::/user.slice/job\n");
  root.write("/proc/self/mountinfo",
             "25 30 0:22 / /sys rw,nosuid - sysfs sysfs rw\n"
             "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  EXPECT_EQ(cgroup_quota(root.path()), 0);
  root.write("/sys/fs/cgroup/user.slice/job/cpu.max", "max 100000\n");
  EXPECT_EQ(cgroup_quota(root.path()), 0);
  root.write("/sys/fs/cgroup/user.slice/job/cpu.max", "250000 100000\n");
  EXPECT_EQ(cgroup_quota(root.path()), 3);
  root.write("/sys/fs/cgroup/user.slice/cpu.max", "200000 100000\n");
  EXPECT_EQ(cgroup_quota(root.path()), 2);
  root.write("/sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(cgroup_quota(root.path()), 1);
}

TEST(TopologyQuota, Version2InAContainer) {
  const FakeRoot root;
  // The host's path is not below what is mounted; the container's limit lies at the mount.
  root.write("/proc/self/cgroup", "0::/../..\n");
  root.write("/proc/self/mountinfo",
             "30 25 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
  root.write("/sys/fs/cgroup/cpu.max", "400000 100000\n");
  EXPECT_EQ(cgroup_quota(root.path()), 4);
  root.write("/proc/self/cgroup", "0::/docker/abc/inner\n");
  root.write("/sys/fs/cgroup/inner/cpu.max", "150000 100000\n");
  EXPECT_EQ(cgroup_quota(root.path()), 2);
}

TEST(TopologyQuota, Version1) {
  const FakeRoot root;
  root.write("/proc/self/cgroup", "9:name=systemd:/\n4:cpu,cpuacct:/job\n3:cpuset:/\n0::/\n");
  root.write("/proc/self/mountinfo",
             "32 31 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
             "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
  root.write("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  root.write("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(cgroup_quota(root.path()), 0);
  root.write("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "600000\n");
  EXPECT_EQ(cgroup_quota(root.path()), 6);
}

TEST(TopologyQuota, DamagedFiles) {
  const FakeRoot root;
  root.write("/proc/self/cgroup", "no colons\n0:\n0::\n0::/a\n");
  root.write("/proc/self/mountinfo", "short\n\n30 25 0:26 / /m rw - cgroup2 cgroup2 rw\n");
  for (const char* text : {"", "max", "100000", "0 0", "-5 100000", "100000 0", "100000 -1",
                           "99999999999999999999 1", "9000000000 1"}) {
    root.write("/m/a/cpu.max", text);
    EXPECT_EQ(cgroup_quota(root.path()), 0) << text;
  }
}

TEST(TopologySysfs, SiblingsAndNodes) {
  const FakeRoot root;
  const std::string cpus = "/sys/devices/system/cpu/cpu";
  for (int i = 0; i < 4; ++i) {
    const std::string cpu = cpus + std::to_string(i);
    const int core = i % 2;
    root.write(cpu + "/topology/core_cpus_list",
               std::to_string(core) + ',' + std::to_string(core + 2) + '\n');
    root.write(cpu + "/topology/physical_package_id", std::to_string(core) + '\n');
    root.write(cpu + "/node" + std::to_string(core) + "/cpulist", "");
  }
  const Machine machine = machine_of_sysfs(root.path(), set_of({{0, 3}}));
  ASSERT_EQ(machine.size(), 4u);
  Surroundings around;
  around.allowed = set_of({{0, 3}});
  around.current_cpu = 3;
  const CpuChoice choice = choose_cpus_of(machine, around, {});
  EXPECT_EQ(choice.view, "2 packages, 2 NUMA nodes, 2 cores, 4 CPUs");
  EXPECT_EQ(cpus_of(choice), (std::vector<int>{3}));
  EXPECT_EQ(choice.numa_node, 1);
  // Nothing below the root: every CPU is a core of its own.
  EXPECT_EQ(
      choose_cpus_of(machine_of_sysfs(root.path() + "/none", around.allowed), around, {}).threads,
      4);
}

// Sets variables for one test and puts the old values back.
class WithoutOpenMpSettings {
 public:
  WithoutOpenMpSettings() {
    for (const char* name : kNames) {
      const char* value = std::getenv(name);
      saved_.push_back(value ? value : "");
      unsetenv(name);
    }
  }
  ~WithoutOpenMpSettings() {
    for (size_t i = 0; i < saved_.size(); ++i) {
      unsetenv(kNames[i]);
      if (!saved_[i].empty()) setenv(kNames[i], saved_[i].c_str(), 1);
    }
  }

 private:
  static constexpr const char* kNames[] = {"OMP_NUM_THREADS", "OMP_THREAD_LIMIT",  "OMP_PROC_BIND",
                                           "OMP_PLACES",      "GOMP_CPU_AFFINITY", "KMP_AFFINITY"};
  std::vector<std::string> saved_;
};

TEST(TopologyHere, UnderTaskset) {
  const WithoutOpenMpSettings settings;
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  const cpu_set_t one = set_of({{first, first}});
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  const CpuChoice choice = choose_cpus({});
  cpu_set_t after;
  ASSERT_EQ(sched_getaffinity(0, sizeof after, &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&after, &one)) << "the choice moved its caller";
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
  EXPECT_EQ(choice.threads, 1);
  EXPECT_EQ(cpus_of(choice), (std::vector<int>{first}));
  EXPECT_FALSE(choice.narrow);
}

TEST(TopologyHere, OpenMpSettings) {
  const WithoutOpenMpSettings settings;
  setenv("OMP_NUM_THREADS", "3,2", 1);
  EXPECT_EQ(choose_cpus({}).threads, 3);
  setenv("OMP_THREAD_LIMIT", "2", 1);
  EXPECT_EQ(choose_cpus({}).threads, 2);
  CpuRequest request;
  request.num_threads = 5;
  EXPECT_EQ(choose_cpus(request).threads, 5);
  setenv("OMP_NUM_THREADS", "many", 1);
  setenv("OMP_PROC_BIND", "spread", 1);
  EXPECT_FALSE(choose_cpus({}).narrow);
}

// 64 rows of 4096 scores, the 16 largest of each, on four threads.
bool topk_is_right(dsa_ctx* ctx) {
  constexpr int64_t kRows = 64, kColumns = 4096, kK = 16;
  std::vector<float> scores(kRows * kColumns);
  for (size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<float>(i * 2654435761u % 4093);
  std::vector<int32_t> indices(kRows * kK, -7), again(kRows * kK, -7);
  dsa_topk_desc d = dsa_topk_desc_init();
  d.scores = dsa_tensor_2d(scores.data(), DSA_F32, kRows, kColumns);
  d.k = kK;
  for (std::vector<int32_t>* out : {&indices, &again}) {
    d.indices = dsa_tensor_2d(out->data(), DSA_I32, kRows, kK);
    if (dsa_topk(ctx, &d, nullptr) != DSA_OK) return false;
  }
  for (const int32_t i : indices) {
    if (i < 0 || i >= kColumns) return false;
  }
  return indices == again;
}

// Exit code of a child that runs `body`; -1 when it did not end within 60 s.
template <class Body>
int in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  for (int i = 0; i < 6000; ++i) {
    int status;
    if (waitpid(child, &status, WNOHANG) == child) {
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return -1;
}

TEST(AfterFork, InheritedContext) {
  dsa_ctx_options options = {};
  options.struct_size = sizeof options;
  options.num_threads = 4;
  dsa_ctx* ctx;
  ASSERT_EQ(dsa_ctx_create(&options, &ctx), DSA_OK) << dsa_last_error();
  EXPECT_TRUE(topk_is_right(ctx));
  EXPECT_EQ(in_child([ctx] { return topk_is_right(ctx); }), 0);
  EXPECT_TRUE(topk_is_right(ctx));
  dsa_ctx_destroy(ctx);
}

TEST(AfterFork, ContextOfTheChild) {
  dsa_ctx_options options = {};
  options.struct_size = sizeof options;
  options.num_threads = 4;
  dsa_ctx* ctx;
  ASSERT_EQ(dsa_ctx_create(&options, &ctx), DSA_OK) << dsa_last_error();
  EXPECT_TRUE(topk_is_right(ctx));
  const int code = in_child([&options] {
    dsa_ctx* own;
    if (dsa_ctx_create(&options, &own) != DSA_OK) return false;
    const bool right = topk_is_right(own);
    dsa_ctx_destroy(own);
    return right;
  });
  EXPECT_EQ(code, 0);
  dsa_ctx_destroy(ctx);
}

}  // namespace
}  // namespace dsa
