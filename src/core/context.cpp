#include "core/context.h"

#include <fnmatch.h>

#include <cstdlib>

#include "core/error.h"
#include "hybrid/ring.h"

namespace dsa {
namespace {

std::string environment_text(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

int32_t positive_number(const char* name) {
  const char* value = std::getenv(name);
  if (!value || !*value) return 0;
  char* end = nullptr;
  const long number = std::strtol(value, &end, 10);
  if (*end != 0 || number < 1 || number > 65536) {
    fail(DSA_ERROR_INVALID, "environment: %s is \"%s\", must be 1 to 65536", name, value);
  }
  return static_cast<int32_t>(number);
}

CpuTier allowed_tier(const Environment& environment, std::string& why) {
  const cpu::Isa& isa = cpu::detect_isa();
  CpuTier tier = isa.tier;
  why = isa.limit[0] ? std::string("the CPU's highest: ") + isa.limit : "the CPU's highest";
  if (!environment.cpu_isa.empty()) {
    CpuTier wanted;
    if (!cpu::tier_from_name(environment.cpu_isa.c_str(), wanted)) {
      fail(DSA_ERROR_INVALID,
           "environment: DSA_CPU_ISA is \"%s\", must be scalar, avx2, avx512 or amx",
           environment.cpu_isa.c_str());
    }
    if (wanted < tier) {
      tier = wanted;
      why = "lowered by DSA_CPU_ISA";
    }
  }
  return tier;
}

CpuChoice choose(const dsa_ctx_options& options, const Environment& environment,
                 const DeviceInfo* device) {
  CpuRequest request;
  request.num_threads = options.num_threads > 0 ? options.num_threads : environment.num_threads;
  request.numa_node = options.numa_node;
  request.cpu_mask = options.cpu_mask;
  request.cpu_mask_words = options.cpu_mask_words;
  request.openmp = !options.parallel_for;
  if (device) request.device_node = device->numa_node;
  return choose_cpus(request);
}

// Why a context cannot use a kernel; "" when it can.
std::string refusal(const dsa_ctx& ctx, const Kernel& kernel) {
  if (kernel.device == DSA_DEVICE_CUDA) {
    const DeviceInfo* device = ctx.device();
    if (!device) return ctx.cuda_missing;
    const int32_t found = device->compute_capability;
    if (found < kernel.min_capability ||
        (kernel.max_capability != 0 && found > kernel.max_capability)) {
      const auto number = [](int32_t capability) {
        return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
      };
      return "needs compute capability " + number(kernel.min_capability) +
             (kernel.max_capability != 0 ? " to " + number(kernel.max_capability) : " or later") +
             ", the device has " + number(device->own_capability) +
             (found != device->own_capability
                  ? " and runs code that was compiled for " + number(found)
                  : "");
    }
  } else if (kernel.tier > cpu::detect_isa().tier) {
    return std::string("needs tier ") + cpu::tier_name(kernel.tier) + ": " +
           cpu::detect_isa().limit;
  } else if (kernel.tier > ctx.tier) {
    return "above the tier set by DSA_CPU_ISA";
  }
  const std::string& glob = ctx.environment.kernel_glob;
  if (!glob.empty() && fnmatch(glob.c_str(), kernel.name, 0) != 0) {
    return "does not match DSA_KERNEL";
  }
  return "";
}

}  // namespace

Environment Environment::read() {
  Environment e;
  e.log = environment_text("DSA_LOG");
  e.cpu_isa = environment_text("DSA_CPU_ISA");
  e.kernel_glob = environment_text("DSA_KERNEL");
  e.backend_path = environment_text("DSA_BACKEND_PATH");
  e.tune_file = environment_text("DSA_TUNE_FILE");
  e.num_threads = positive_number("DSA_NUM_THREADS");
  return e;
}

}  // namespace dsa

dsa_ctx::dsa_ctx(const dsa_ctx_options& options)
    : environment(dsa::Environment::read()),
      log(options.log, options.log_user, environment.log.c_str()),
      cuda(open_device(options)),
      tier(dsa::allowed_tier(environment, tier_why)),
      cpus(dsa::choose(options, environment, device())),
      parallel(cpus.threads, options.parallel_for, options.parallel_user),
      workspaces(options.allocate, options.release, options.allocator_user) {
  if (cpus.narrow) parallel.bind_workers_to(&cpus.cpus, sizeof cpus.cpus);
  if (log.context()) {
    log.write(2, "context: tier %s (%s), %d threads (%s)", dsa::cpu::tier_name(tier),
              tier_why.c_str(), cpus.threads, cpus.why.c_str());
  }
  judge_kernels();
  read_tune(options);
  if (device()) {
    hybrid = std::make_unique<dsa::HybridRing>(*cuda, cpus, options.pinned_bytes);
    if (options.flags & DSA_CTX_HYBRID_READY) hybrid->make_ready();
  }
}

dsa_ctx::~dsa_ctx() = default;

std::unique_ptr<dsa::CudaModule> dsa_ctx::open_device(const dsa_ctx_options& options) {
  std::unique_ptr<dsa::CudaModule> module;
  if (options.device != DSA_DEVICE_CUDA) return module;
  try {
    module = dsa::CudaModule::find(options.module_path, environment.backend_path);
    module->open(options.device_id);
    if (log.context()) {
      log.write(2, "context: CUDA device %d, %s, NUMA node %d, module %s", options.device_id,
                module->info().name, module->info().numa_node, module->path().c_str());
    }
  } catch (const dsa::Error& error) {
    if (!(options.flags & DSA_CTX_DEVICE_OPTIONAL)) throw;
    cuda_missing = error.text;
    if (log.context()) log.write(1, "context: %s", error.text);
  }
  return module;
}

void dsa_ctx::judge_kernels() {
  const auto judge = [this](dsa::KernelList list) {
    for (int32_t i = 0; i < list.size; ++i) {
      kernels.push_back({list.data[i], dsa::refusal(*this, *list.data[i])});
      if (kernels.back().reason.empty() && list.data[i]->load) cuda->load(*list.data[i]);
    }
  };
  judge(dsa::cpu_kernels());
  if (cuda) judge(cuda->kernels());
}

void dsa_ctx::read_tune(const dsa_ctx_options& options) {
  machine = dsa::machine_line(tier, device());
  tune_path = dsa::find_tune_path(options.tune_path, environment.tune_file, machine);
  dsa::Tune read = dsa::Tune::built_in();
  read.has_gpu = device() != nullptr;
  const std::string why = dsa::load_tune(tune_path.path, machine, read);
  const std::string name = tune_path.path.empty() ? "no file" : tune_path.path;
  const std::string from =
      why.empty() ? "constants of " + name : "built-in constants (" + name + ": " + why + ")";
  tune.set(read, from);
  if (log.context()) log.write(2, "context: %s", from.c_str());
}
