#include "options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <climits>
#include <utility>

#include "error.h"

namespace tinylm {
namespace {

// The model was trained on Python. greedy.txt continues this prompt.
constexpr const char *kPrompt =
    "def read_config(path):\n"
    "    \"\"\"Read a configuration file and return a dictionary.\"\"\"\n";

// The longest text; keeps caches (5.4 KB a position in f32) within the memory of a small machine.
constexpr int64_t kMaxBytes = int64_t{1} << 20;

// The data lies in the source tree, at a fixed path from the executable in the build tree.
std::filesystem::path default_model() {
  std::error_code ignored;
  const auto executable = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return (executable.parent_path() / TINYLM_DATA_FROM_EXECUTABLE).lexically_normal();
}

int32_t route_of(const std::string &name) {
  static constexpr std::pair<const char *, int32_t> kRoutes[] = {
      {"auto", DSA_ROUTE_AUTO},
      {"gpu", DSA_ROUTE_GPU},
      {"cpu", DSA_ROUTE_CPU},
      {"hybrid", DSA_ROUTE_HYBRID},
      {"hybrid-prefilter", DSA_ROUTE_HYBRID_PREFILTER}};
  for (const auto &[known, route] : kRoutes) {
    if (name == known) return route;
  }
  throw BadInput("--route " + name + ": not a route (auto, gpu, cpu, hybrid, hybrid-prefilter)");
}

}  // namespace

bool parse_options(int argc, char **argv, Options &options) {
  options.model = default_model();
  options.prompt = kPrompt;
  std::string device = "cpu";
  std::string dtype = "f32";
  std::string route;
  bool with_long = false;

  CLI::App app(
      "tinylm: a small trained language model with DeepSeek Sparse Attention, run by libdsa.\n"
      "Scores held-out text sparse and dense, checks the losses against the reference, and\n"
      "continues a prompt. Exit code: 0 fine, 1 a check failed, 2 bad input.");
  app.add_option("--text", options.text, "Score this file instead of the held-out text")
      ->option_text("FILE");
  app.add_option("--prompt", options.prompt, "Continue this text instead of the head of a function")
      ->option_text("TEXT");
  app.add_option("--topk", options.topk, "Keys that a query keeps [the model's: 256]")
      ->check(CLI::Range(1, INT_MAX))
      ->option_text("N");
  app.add_option("--dtype", dtype, "Of the caches and queries that libdsa gets [f32]")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->option_text("f32|bf16");
  app.add_flag("--dense", options.dense, "Dense attention everywhere, no sparse run");
  app.add_flag("--long", with_long,
               "Also time sparse and dense attention from 2048 to 65536 positions: many minutes");
  app.add_option("--long-to", options.long_positions, "The same to N positions")
      ->check(CLI::Range(int64_t{2048}, kMaxBytes))
      ->option_text("N");
  app.add_option("--bytes", options.bytes, "Positions to score [8192]")
      ->check(CLI::Range(int64_t{1}, kMaxBytes))
      ->option_text("N");
  app.add_option("--generate", options.generate, "Bytes to continue the prompt by [200]")
      ->check(CLI::Range(int64_t{0}, kMaxBytes))
      ->option_text("N");
  app.add_option("--model", options.model,
                 "Folder with config.json, model.safetensors, held_out.txt [examples/tinylm/data]")
      ->option_text("DIR");
  app.add_option("--threads", options.threads, "Threads [one per core]")
      ->check(CLI::Range(1, 1024))
      ->option_text("N");
  app.add_option("--device", device, "cpu or cuda, the first GPU [cpu]")->option_text("DEVICE");
  app.add_option("--route", route,
                 "Select and attend in one call (dsa_forward), this way: auto, gpu, cpu, hybrid,\n"
                 "hybrid-prefilter [two calls on the device]")
      ->option_text("ROUTE");

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp &) {
    fmt::print("{}", app.help());
    return false;
  } catch (const CLI::ParseError &error) {
    throw BadInput(error.what());
  }
  if (with_long && options.long_positions == 0) options.long_positions = 65536;
  options.dtype = dtype == "f32" ? DSA_F32 : DSA_BF16;
  options.cuda = device == "cuda";
  if (device != "cpu" && device != "cuda") {
    throw BadInput("--device " + device + ": not a device (cpu, cuda)");
  }
  if (!route.empty()) options.route = route_of(route);
  if (options.route && !options.cuda && *options.route != DSA_ROUTE_AUTO &&
      *options.route != DSA_ROUTE_CPU) {
    throw BadInput("--route " + route + " needs --device cuda");
  }
  if (options.prompt.empty()) throw BadInput("--prompt is empty, at least one byte is needed");
  return true;
}

}  // namespace tinylm
