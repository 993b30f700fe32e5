// dsa-info: the build, the instruction sets found and used and why, the cores, the kernels.
//
// Everything is asked of the library (dsa_ctx_describe, dsa_kernel_get): this program knows no
// kernel, no CPU and no GPU.
#include <dsa.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct ContextDeleter {
  void operator()(dsa_ctx* ctx) const { dsa_ctx_destroy(ctx); }
};
using Context = std::unique_ptr<dsa_ctx, ContextDeleter>;

void check(dsa_status status) {
  if (status == DSA_OK) return;
  throw std::runtime_error(fmt::format("{}: {}", dsa_status_name(status), dsa_last_error()));
}

std::string describe(const dsa_ctx* ctx) {
  uint64_t bytes = 0;
  check(dsa_ctx_describe(ctx, nullptr, 0, &bytes));
  std::string text(bytes, '\0');
  check(dsa_ctx_describe(ctx, text.data(), bytes, nullptr));
  text.resize(text.find_last_not_of(" \n\t" + std::string(1, '\0')) + 1);
  return text;
}

std::vector<dsa_kernel_info> kernels(dsa_ctx* ctx) {
  std::vector<dsa_kernel_info> all;
  for (int32_t i = 0;; ++i) {
    dsa_kernel_info info = {};
    info.struct_size = sizeof info;
    if (dsa_kernel_get(ctx, i, &info) != DSA_OK) return all;
    all.push_back(info);
  }
}

const char* function_name(int32_t operation) {
  switch (operation) {
    case DSA_OP_INDEXER:
      return "dsa_indexer";
    case DSA_OP_TOPK:
      return "dsa_topk";
    case DSA_OP_INDEXER_TOPK:
      return "dsa_indexer_topk";
    case DSA_OP_SPARSE_ATTN:
      return "dsa_sparse_attn";
    case DSA_OP_MERGE_LSE:
      return "dsa_merge_lse";
    case DSA_OP_FORWARD:
      return "dsa_forward";
    default:
      return "?";
  }
}

void print_text(dsa_ctx* ctx) {
  const auto json = nlohmann::ordered_json::parse(describe(ctx));
  const auto text = [&json](const char* key) -> std::string {
    const auto found = json.find(key);
    if (found == json.end()) return "?";
    return found->is_string() ? found->get<std::string>() : found->dump();
  };
  const auto line = [](const char* label, const std::string& value) {
    fmt::print("{:<12} {}\n", label, value);
  };
  const auto in_brackets = [](const std::string& why) {
    return why.empty() ? why : " (" + why + ")";
  };

  line("libdsa", fmt::format("{}, ABI {}", text("version"), text("abi")));
  line("compiler", text("compiler"));
  line("OpenMP", text("openmp") == "null" ? "not built in" : text("openmp"));
  line("hwloc", text("hwloc") == "true" ? "built in" : "not built in");
  line("CPU", text("cpu"));
  line("ISA found", text("isa_found") + in_brackets(text("isa_limit")));
  const bool lowered = text("isa_used") != text("isa_found");
  line("ISA used", text("isa_used") + (lowered ? in_brackets(text("isa_why")) : ""));
  line("topology", text("topology"));
  line("threads", text("threads") + in_brackets(text("threads_why")));
  line("cores", text("cores"));
  line("NUMA node", text("numa_node"));
  if (text("cuda_device") == "null") {
    line("CUDA", text("cuda_missing"));
  } else {
    const int own = json.value("cuda_capability", 0), code = json.value("cuda_code", 0);
    line("CUDA", fmt::format("device {}, {}, compute capability {:.1f}{}", text("cuda_device_id"),
                             text("cuda_device"), own / 10.0,
                             code == own ? "" : fmt::format(", code for {:.1f}", code / 10.0)));
  }
  if (text("cuda_module") != "null") {
    line("CUDA module", fmt::format("{}, CUDA {}", text("cuda_module"), text("cuda_runtime")));
  }

  fmt::print("\nkernels, best first:\n");
  for (const dsa_kernel_info& kernel : kernels(ctx)) {
    fmt::print("  {:<28} {}\n", kernel.name,
               kernel.usable ? "usable" : fmt::format("not usable: {}", kernel.reason));
  }
}

// What a name "device.operation.form.family" says besides device, operation and family.
std::string form_of(const dsa_kernel_info& kernel) {
  const std::string name = kernel.name, family = kernel.family;
  const size_t begin = name.find('.', name.find('.') + 1) + 1;
  const size_t end = name.size() - family.size();
  return begin < end ? name.substr(begin, end - 1 - begin) : "";
}

// The README's support matrix: what this build contains, the same on every machine it runs on. A
// column is a device and a family, a cell the forms that a family has of an operation.
void print_matrix(dsa_ctx* ctx) {
  using Column = std::pair<int32_t, std::string>;
  std::vector<Column> columns;
  for (const char* family : {"scalar", "avx2", "avx512", "amx"}) {
    columns.push_back({DSA_DEVICE_CPU, family});
  }
  for (const char* family : {"sm80", "sm90"}) columns.push_back({DSA_DEVICE_CUDA, family});
  const int32_t operations[] = {DSA_OP_INDEXER,     DSA_OP_TOPK,      DSA_OP_INDEXER_TOPK,
                                DSA_OP_SPARSE_ATTN, DSA_OP_MERGE_LSE, DSA_OP_FORWARD};
  std::map<std::pair<int32_t, Column>, std::string> cells;
  for (const dsa_kernel_info& kernel : kernels(ctx)) {
    const Column column = {kernel.device, kernel.family};
    if (std::find(columns.begin(), columns.end(), column) == columns.end()) {
      columns.push_back(column);
    }
    const std::string form = form_of(kernel);
    std::string& cell = cells[{kernel.operation, column}];
    if (!cell.empty()) cell += ", ";
    cell += form.empty() ? "yes" : form;
  }

  fmt::print("| operation |");
  for (const auto& [device, family] : columns) {
    fmt::print(" {} {} |", device == DSA_DEVICE_CUDA ? "cuda" : "cpu", family);
  }
  fmt::print("\n|---|");
  for (size_t i = 0; i < columns.size(); ++i) fmt::print("---|");
  fmt::print("\n");
  for (const int32_t operation : operations) {
    fmt::print("| `{}` |", function_name(operation));
    for (const Column& column : columns) {
      const auto cell = cells.find({operation, column});
      fmt::print(" {} |", cell == cells.end() ? "" : cell->second);
    }
    fmt::print("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"What this libdsa is and what it found on this machine.", "dsa-info"};
  bool json = false, matrix = false;
  int32_t threads = 0, device = 0;
  app.add_flag("--json", json, "dsa_ctx_describe's text: the same and more, as JSON");
  auto* matrix_flag =
      app.add_flag("--matrix", matrix, "the kernels of this build as a Markdown table");
  matrix_flag->excludes("--json");
  app.add_option("--threads", threads, "as dsa_ctx_options.num_threads")
      ->check(CLI::Range(1, 4096));
  app.add_option("--device-id", device, "the CUDA device to look at, as dsa_ctx_options.device_id")
      ->check(CLI::Range(0, 4096));
  app.set_version_flag("--version", fmt::format("{}.{}.{}", dsa_version() / 10000,
                                                dsa_version() / 100 % 100, dsa_version() % 100));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "dsa-info: {} (--help lists the options)\n", error.what());
    return 2;
  }

  try {
    dsa_ctx_options options = {};
    options.struct_size = sizeof options;
    options.num_threads = threads;
    options.device = DSA_DEVICE_CUDA;
    options.device_id = device;
    options.flags = DSA_CTX_DEVICE_OPTIONAL;
    dsa_ctx* raw = nullptr;
    check(dsa_ctx_create(&options, &raw));
    const Context ctx(raw);
    if (json) {
      fmt::print("{}\n", describe(ctx.get()));
    } else if (matrix) {
      print_matrix(ctx.get());
    } else {
      print_text(ctx.get());
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "dsa-info: {}\n", error.what());
    return 1;
  }
  return 0;
}
