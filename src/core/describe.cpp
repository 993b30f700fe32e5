// dsa_ctx_describe: what was found and chosen, as JSON.
#include "core/context.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace dsa {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out + "\"";
}

std::string cpu_list(const cpu_set_t& cpus) {
  std::string out = "[";
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (!CPU_ISSET(i, &cpus)) continue;
    if (out.size() > 1) out += ", ";
    out += std::to_string(i);
  }
  return out + "]";
}

const char* operation_name(int32_t operation) {
  static constexpr const char* kNames[] = {"indexer",     "topk",      "indexer_topk",
                                           "sparse_attn", "merge_lse", "forward"};
  return kNames[operation - 1];
}

}  // namespace

std::string describe(const dsa_ctx& ctx) {
  const cpu::Isa& isa = cpu::detect_isa();
  std::string out = "{\n";
  const auto line = [&out](const char* key, const std::string& value, bool last = false) {
    out += "  " + quoted(key) + ": " + value + (last ? "\n" : ",\n");
  };
  line("version",
       quoted(std::to_string(DSA_VERSION_MAJOR) + "." + std::to_string(DSA_VERSION_MINOR) + "." +
              std::to_string(DSA_VERSION_PATCH)));
  line("abi", std::to_string(DSA_ABI_VERSION));
  line("compiler", quoted(__VERSION__));
#if defined(_OPENMP)
  line("openmp", std::to_string(_OPENMP));
#else
  line("openmp", "null");
#endif
#if defined(DSA_HAVE_HWLOC)
  line("hwloc", "true");
#else
  line("hwloc", "false");
#endif
  line("cpu", quoted(isa.brand));
  line("isa_found", quoted(cpu::tier_name(isa.tier)));
  line("isa_limit", quoted(isa.limit));
  line("isa_used", quoted(cpu::tier_name(ctx.tier)));
  line("isa_why", quoted(ctx.tier_why));
  line("topology", quoted(ctx.cpus.view));
  line("threads", std::to_string(ctx.cpus.threads));
  line("threads_why", quoted(ctx.cpus.why));
  line("numa_node", std::to_string(ctx.cpus.numa_node));
  line("cores", cpu_list(ctx.cpus.cpus));
  if (const DeviceInfo* device = ctx.device()) {
    line("cuda_device", quoted(device->name));
    line("cuda_device_id", std::to_string(device->id));
    line("cuda_capability", std::to_string(device->own_capability));
    line("cuda_code", std::to_string(device->compute_capability));
  } else {
    line("cuda_device", "null");
  }
  line("cuda_module", ctx.cuda ? quoted(ctx.cuda->path()) : "null");
  line("cuda_runtime", ctx.cuda ? quoted(ctx.cuda->runtime_version()) : "null");
  line("cuda_missing", quoted(ctx.cuda_missing));
  line("tune", quoted(ctx.tune.from()));
  out += "  \"kernels\": [\n";
  for (size_t i = 0; i < ctx.kernels.size(); ++i) {
    const KernelState& state = ctx.kernels[i];
    out += "    {\"name\": " + quoted(state.kernel->name) +
           ", \"operation\": " + quoted(operation_name(state.kernel->operation)) +
           ", \"usable\": " + (state.reason.empty() ? "true" : "false") +
           ", \"reason\": " + quoted(state.reason) + "}" +
           (i + 1 < ctx.kernels.size() ? ",\n" : "\n");
  }
  out += "  ]\n}\n";
  return out;
}

}  // namespace dsa
