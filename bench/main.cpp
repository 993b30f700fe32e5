// dsa-bench: times the operations of libdsa through its C interface.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>

#include "cuda/suite.h"
#include "error.h"
#include "options.h"
#include "peers.h"
#include "progress.h"
#include "suite.h"

namespace bench {

std::string describe(const Job& job) {
  struct Text {
    std::string operator()(const TopkCase& c) const {
      return fmt::format("topk {} x {}, k {}, {}", c.rows, c.n, c.k,
                         pattern_names()[size_t(c.pattern)]);
    }
    std::string operator()(const IndexerCase& c) const {
      return fmt::format("{} {} x {}, {} heads of {}, {}", c.k > 0 ? "indexer_topk" : "indexer",
                         c.queries, c.keys, c.heads, c.dim, dtype_name(c.key_dtype));
    }
    std::string operator()(const AttnCase& c) const {
      return fmt::format("attn {} x {}, k {}, {} heads of {}/{}", c.queries, c.keys, c.k, c.heads,
                         c.dim, c.value_dim);
    }
    std::string operator()(const ChainCase& c) const {
      return fmt::format("chain {} x {}, {} heads", c.select.queries, c.select.keys,
                         c.attend.heads);
    }
    std::string operator()(const OverheadCase&) const { return "overhead"; }
  };
  return std::visit(Text(), job.what);
}

namespace {

int run_routes(const Options& options, const std::string& command) {
  const routes::Output output{options.csv, options.json, command, options.peers, options.quiet};
  if (routes::run_sweep(options.context, options.sweep, options.settings, output)) return 0;
  fmt::print(stderr, "dsa-bench: a result is wrong, see the column check of the CSV file\n");
  return 1;
}

int run_all(Options& options, const std::string& command) {
  std::map<ContextSpec, std::unique_ptr<Context>> contexts;
  const auto context = [&contexts](const ContextSpec& spec) -> const Context& {
    auto& slot = contexts[spec];
    if (!slot) slot = std::make_unique<Context>(spec);
    return *slot;
  };
  const Context& base = context(options.context);
  const bool is_suite = !options.suite.empty();
  if (is_suite) {
    options.jobs = base.device() ? device_suite_jobs(options.suite, options.context)
                                 : suite_jobs(options.suite, options.context, base.isa_found());
  }

  Progress progress(int64_t(options.jobs.size()) + (options.roofs ? 1 : 0), options.quiet);
  std::optional<Roofs> roofs;
  if (options.roofs) {
    progress.step("roofs");
    roofs = measure_roofs(base, options.roof_time);
  }

  Peers peers;
  for (const std::string& path : options.peers) peers.read(path);
  Report report;
  report.set_peers(peers.names());
  std::string broken;
  for (const Job& job : options.jobs) {
    progress.step(describe(job));
    Record record;
    try {
      const Setup setup{context(job.context), options.settings, roofs ? &*roofs : nullptr,
                        job.device_mode};
      record = std::visit([&setup](const auto& c) { return run(setup, c); }, job.what);
    } catch (const std::runtime_error& error) {
      const std::string what = fmt::format("{}: {}", describe(job), error.what());
      const bool left_out =
          dynamic_cast<const Unsupported*>(&error) || dynamic_cast<const tinylm::BadInput*>(&error);
      if (left_out && !is_suite) throw;
      if (!left_out) {
        // A GPU's error stays: what was measured until here is shown.
        broken = what;
        break;
      }
      // In a suite the other cases still count.
      record["op"] = job.group;
      record["check"] = "-";
      record["note"] = what;
    }
    if (!job.group.empty()) record["group"] = job.group;
    if (!job.model.empty()) record["model"] = job.model;
    peers.compare(record);
    report.add(std::move(record));
  }
  progress.clear();

  const nlohmann::ordered_json& about = base.about();
  if (base.device()) {
    fmt::print("{}; CUDA {}\n\n", about.value("cuda_device", "?"),
               about.value("cuda_runtime", "?"));
  } else {
    fmt::print("{}; {} threads, {}\n\n", about.value("cpu", "?"), base.threads(),
               about.value("isa_used", "?"));
  }
  if (roofs) {
    roofs->print();
    fmt::print("\n");
  }
  if (!options.roofs_only) report.print_table();
  report.print_ratios();

  if (!options.csv.empty()) report.write_csv(options.csv);
  if (!options.json.empty()) {
    nlohmann::ordered_json head;
    head["tool"] = "dsa-bench";
    head["command"] = command;
    head["about"] = about;
    if (roofs) head["roofs"] = roofs->json();
    report.write_json(options.json, head);
  }
  if (!broken.empty()) {
    fmt::print(stderr, "dsa-bench: {}\n", broken);
    return 1;
  }
  if (report.any_failed()) {
    fmt::print(stderr, "dsa-bench: a result is wrong, see the column check\n");
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  bench::Options options;
  int exit_code = 0;
  try {
    if (!bench::parse(argc, argv, options, exit_code)) return exit_code;
    std::string command = "dsa-bench";
    for (int i = 1; i < argc; ++i) command += std::string(" ") + argv[i];
    switch (options.command) {
      case bench::Options::Command::kRoutes:
        return bench::run_routes(options, command);
      case bench::Options::Command::kTune:
        bench::routes::run_tune(options.context, options.tune_path, options.quiet);
        return 0;
      default:
        return bench::run_all(options, command);
    }
  } catch (const std::invalid_argument& error) {
    fmt::print(stderr, "dsa-bench: {}\n", error.what());
    return 2;
  } catch (const tinylm::BadInput& error) {
    fmt::print(stderr, "dsa-bench: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "dsa-bench: {}\n", error.what());
    return 1;
  }
}
