#include "options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>

#include "cuda/suite.h"
#include "models.h"
#include "suite.h"

namespace bench {
namespace {

using Numbers = std::vector<int64_t>;

struct NamedNumber {
  const char* name;
  int32_t value;
};
constexpr NamedNumber kDtypes[] = {
    {"f32", DSA_F32}, {"f16", DSA_F16}, {"bf16", DSA_BF16}, {"e4m3", DSA_F8_E4M3FN}};
constexpr NamedNumber kOrders[] = {
    {"index", DSA_ORDER_INDEX}, {"score", DSA_ORDER_SCORE}, {"any", DSA_ORDER_ANY}};
constexpr NamedNumber kTies[] = {{"smaller", DSA_TIES_SMALLER_INDEX}, {"any", DSA_TIES_ANY}};

template <size_t N>
CLI::IsMember one_of(const NamedNumber (&table)[N]) {
  std::vector<std::string> names;
  for (const NamedNumber& entry : table) names.push_back(entry.name);
  return CLI::IsMember(names);
}

template <size_t N>
int32_t value_of(const NamedNumber (&table)[N], const std::string& name) {
  for (const NamedNumber& entry : table) {
    if (name == entry.name) return entry.value;
  }
  throw std::invalid_argument("no such name: " + name);
}

// What the operations' subcommands take. Empty: the model's value, or the operation's default.
struct Shapes {
  std::string model;
  Numbers rows, n, k, heads, dim, value_dim;
  std::vector<std::string> triples;  // of top-k: ROWSxNxK
  std::vector<std::string> dtypes, patterns, selections;
  std::string q_dtype, key_dtype, out_dtype, outputs = "indices,values";
  std::string order = "index", ties = "smaller", lengths;
  int64_t batch = 0;
  bool causal = false, to_maximum = false;
};

Numbers or_default(const Numbers& given, std::initializer_list<int64_t> otherwise) {
  return given.empty() ? Numbers(otherwise) : given;
}

TopkCase parse_triple(const std::string& text) {
  TopkCase c;
  char rest;
  long long rows, n;
  if (std::sscanf(text.c_str(), "%lldx%lldx%d%c", &rows, &n, &c.k, &rest) != 3 || rows < 1 ||
      n < 1 || c.k < 1) {
    throw CLI::ValidationError("--shapes", "'" + text + "' is not ROWSxNxK");
  }
  c.rows = rows;
  c.n = n;
  return c;
}

void add_topk_jobs(const Shapes& s, Options& options) {
  const Model* model = find_model(s.model);
  std::vector<TopkCase> shapes;
  for (const std::string& triple : s.triples) shapes.push_back(parse_triple(triple));
  if (shapes.empty()) {
    for (const int64_t rows : model ? or_default(s.rows, {1, 64}) : or_default(s.rows, {1})) {
      for (const int64_t n :
           model ? or_default(s.n, {4096, 32768, 131072}) : or_default(s.n, {65536})) {
        for (const int64_t k : or_default(s.k, {model ? model->k : 2048})) {
          TopkCase c;
          c.rows = rows;
          c.n = n;
          c.k = int32_t(k);
          shapes.push_back(c);
        }
      }
    }
  }
  for (TopkCase c : shapes) {
    c.outputs = s.outputs;
    c.order = value_of(kOrders, s.order);
    c.ties = value_of(kTies, s.ties);
    c.to_maximum = s.to_maximum;
    c.lengths = s.lengths;
    for (const std::string& dtype : s.dtypes) {
      c.dtype = value_of(kDtypes, dtype);
      if (c.to_maximum && (c.dtype != DSA_F32 || c.n < 256)) {
        throw CLI::ValidationError("--to-maximum", "needs f32 scores and at least 256 of them");
      }
      for (const std::string& pattern : s.patterns) {
        c.pattern = pattern_from_name(pattern);
        options.jobs.push_back({"", s.model, options.context, c});
      }
    }
  }
}

void add_indexer_jobs(const Shapes& s, bool with_topk, Options& options) {
  const Model* model = find_model(s.model);
  const Numbers ks = with_topk ? or_default(s.k, {model ? model->k : 2048}) : Numbers{0};
  IndexerCase c;
  c.causal = s.causal;
  c.batch = s.batch;
  c.outputs = s.outputs;
  for (const std::string& pattern : s.patterns) {
    c.pattern = pattern_from_name(pattern);
    const bool real = c.pattern == Pattern::kReal;
    for (const std::string& dtype : s.dtypes) {
      const std::string key = s.key_dtype.empty() ? dtype : s.key_dtype;
      c.packed = key == "fp8-132";
      c.q_dtype = value_of(kDtypes, s.q_dtype.empty() ? dtype : s.q_dtype);
      c.key_dtype = c.packed ? DSA_F8_E4M3FN : value_of(kDtypes, key);
      c.score_dtype = value_of(kDtypes, s.out_dtype.empty() ? "f32" : s.out_dtype);
      for (const int64_t heads : or_default(s.heads, {real    ? 8
                                                      : model ? model->index_heads
                                                              : 64})) {
        for (const int64_t dim : or_default(s.dim, {real ? 64 : model ? model->index_dim : 128})) {
          for (const int64_t queries : or_default(s.rows, {64})) {
            for (const int64_t keys : or_default(s.n, {real ? 4096 : 65536})) {
              for (const int64_t k : ks) {
                c.heads = heads;
                c.dim = dim;
                c.queries = queries;
                c.keys = keys;
                c.k = int32_t(k);
                if (c.batch > 0 && queries % c.batch != 0) {
                  throw CLI::ValidationError(
                      "--batch",
                      fmt::format("{} queries are no multiple of {} requests", queries, c.batch));
                }
                options.jobs.push_back({"", s.model, options.context, c});
              }
            }
          }
        }
      }
    }
  }
}

void add_attn_jobs(const Shapes& s, Options& options) {
  const Model* model = find_model(s.model);
  AttnCase c;
  for (const std::string& dtype : s.dtypes) {
    const std::string key = s.key_dtype.empty() ? dtype : s.key_dtype;
    c.packed = key == "fp8-656";
    c.q_dtype = value_of(kDtypes, s.q_dtype.empty() ? dtype : s.q_dtype);
    c.key_dtype = c.packed ? DSA_F8_E4M3FN : value_of(kDtypes, key);
    c.out_dtype = value_of(kDtypes, s.out_dtype.empty() ? dtype : s.out_dtype);
    for (const std::string& selection : s.selections) {
      c.selection = selection;
      for (const int64_t heads : or_default(s.heads, {model ? model->heads : 128})) {
        for (const int64_t dim : or_default(s.dim, {model ? model->dim : 576})) {
          for (const int64_t value_dim :
               or_default(s.value_dim, {model ? model->value_dim : std::min<int64_t>(dim, 512)})) {
            for (const int64_t queries : or_default(s.rows, {64})) {
              for (const int64_t keys : or_default(s.n, {65536})) {
                for (const int64_t k : or_default(s.k, {model ? model->k : 2048})) {
                  c.heads = heads;
                  c.dim = dim;
                  c.value_dim = value_dim;
                  c.queries = queries;
                  c.keys = keys;
                  c.k = int32_t(k);
                  options.jobs.push_back({"", s.model, options.context, c});
                }
              }
            }
          }
        }
      }
    }
  }
}

// A prefill: the queries are the last of the keys, sizes are the model's.
void add_chain_jobs(const Shapes& s, Options& options) {
  const Model& model = *find_model(s.model.empty() ? "deepseek-v3.2" : s.model);
  ChainCase c;
  c.select.causal = true;
  c.select.heads = model.index_heads;
  c.select.dim = model.index_dim;
  c.select.k = c.attend.k = model.k;
  c.select.q_dtype = c.select.key_dtype = value_of(kDtypes, s.key_dtype);
  c.attend.dim = model.dim;
  c.attend.value_dim = model.value_dim;
  for (const std::string& dtype : s.dtypes) {
    c.attend.q_dtype = c.attend.key_dtype = c.attend.out_dtype = value_of(kDtypes, dtype);
    for (const int64_t heads : or_default(s.heads, {model.heads})) {
      for (const int64_t queries : or_default(s.rows, {4096})) {
        for (const int64_t keys : or_default(s.n, {32768})) {
          c.attend.heads = heads;
          c.select.queries = c.attend.queries = queries;
          c.select.keys = c.attend.keys = keys;
          options.jobs.push_back({"", model.name, options.context, c});
        }
      }
    }
  }
}

// Every job in each way of timing.
void spread_over_modes(Options& options) {
  if (!options.context.cuda) return;
  std::vector<Job> all;
  for (const Job& job : options.jobs) {
    for (const DeviceMode mode : options.device_modes) {
      all.push_back(job);
      all.back().device_mode = mode;
    }
  }
  options.jobs = std::move(all);
}

void add_numbers(CLI::App* command, const std::string& name, Numbers& to, const char* help,
                 int64_t most = int64_t{1} << 31) {
  command->add_option(name, to, help)->delimiter(',')->check(CLI::Range(int64_t{1}, most));
}

void add_model(CLI::App* command, Shapes& s) {
  std::vector<std::string> names;
  for (const Model& model : models()) names.push_back(model.name);
  command->add_option("--model", s.model, "sizes of " + fmt::format("{}", fmt::join(names, ", ")))
      ->check(CLI::IsMember(names));
}

void add_dtypes(CLI::App* command, Shapes& s, const char* initial) {
  s.dtypes = {initial};
  command->add_option("--dtype", s.dtypes, "of all tensors that are not named below")
      ->delimiter(',')
      ->check(one_of(kDtypes))
      ->capture_default_str();
}

void add_outputs(CLI::App* command, Shapes& s) {
  const auto valid = [](const std::string& text) {
    std::string rest = text + ",";
    while (!rest.empty()) {
      const std::string name = rest.substr(0, rest.find(','));
      if (name != "indices" && name != "slots" && name != "values" && name != "counts" &&
          name != "cut") {
        return "'" + name + "' is none of indices, slots, values, counts, cut";
      }
      rest.erase(0, name.size() + 1);
    }
    return std::string();
  };
  command->add_option("--outputs", s.outputs, "of indices,slots,values,counts,cut")
      ->check(CLI::Validator(valid, "LIST"))
      ->capture_default_str();
}

void add_common(CLI::App& app, Options& o) {
  o.settings.real_path = BENCH_REAL_SCORES;
  const std::string group = "For every command";
  const auto option = [&](const char* name, auto& to, const char* help) {
    return app.add_option(name, to, help)->capture_default_str()->group(group);
  };
  option("--device", o.device, "cpu or cuda")->check(CLI::IsMember({"cpu", "cuda"}));
  option("--device-id", o.context.device_id, "which CUDA device")->check(CLI::Range(0, 4096));
  option("--timing", o.timings,
         "of a CUDA device: warm, cold, burst, sustained (bench/cuda/device.h)")
      ->delimiter(',')
      ->check(CLI::IsMember(device_mode_names()));
  option("--calls", o.settings.device_timing.calls, "in a graph of a CUDA device, at most")
      ->check(CLI::Range(1, 10000));
  option("--replays", o.settings.device_timing.replays, "of such a graph")
      ->check(CLI::Range(1, 100000));
  option("--peers", o.peers,
         "CSV files of other libraries' times, as bench/peers has them: ratios to them")
      ->delimiter(',')
      ->check(CLI::ExistingFile);
  option("--kernel", o.context.kernel, "a glob over kernel names (DSA_KERNEL): *.avx2");
  option("--isa", o.context.isa, "no tier above this one (DSA_CPU_ISA)")
      ->check(CLI::IsMember({"scalar", "avx2", "avx512", "amx"}));
  option("--threads", o.context.threads, "0: the library's choice")->check(CLI::Range(0, 4096));
  option("--warmup", o.settings.timing.warmup, "calls before the first sample")
      ->check(CLI::Range(0, 1000000));
  option("--repeats", o.settings.timing.repeats, "samples at least")
      ->check(CLI::Range(1, 100000000));
  option("--min-time", o.settings.timing.min_time, "seconds of samples at least")
      ->check(CLI::Range(0.0, 3600.0));
  option("--max-time", o.settings.timing.max_time, "seconds after which three samples are enough")
      ->check(CLI::Range(0.0, 36000.0));
  option("--seed", o.settings.seed, "of the random numbers");
  option("--real", o.settings.real_path, "safetensors file behind --pattern real");
  option("--roof-time", o.roof_time, "seconds for each loop of the roofs")
      ->check(CLI::Range(0.001, 60.0));
  option("--csv", o.csv, "write the results there");
  option("--json", o.json, "write results, roofs and the machine there");
  const auto flag = [&](const char* name, bool& to, const char* help) {
    app.add_flag(name, to, help)->group(group);
  };
  flag("--own-workspace", o.settings.own_workspace,
       "give a workspace (else the context lends one)");
  flag("!--no-check", o.settings.check, "do not compare results with a plain computation");
  flag("!--no-roofs", o.roofs, "do not measure roofs");
  flag("--quiet", o.quiet, "no progress on stderr");
}

CLI::App* add_command(CLI::App& app, const char* name, const char* help) {
  return app.add_subcommand(name, help)->fallthrough();
}

}  // namespace

bool parse(int argc, char** argv, Options& o, int& exit_code) {
  CLI::App app{
      "Times libdsa's operations against what the machine can do.\n"
      "Several values with commas between them are all run.",
      "dsa-bench"};
  app.require_subcommand(1);
  add_common(app, o);

  Shapes topk, indexer, fused, attn, chain;
  CLI::App* c = add_command(app, "topk", "dsa_topk on scores [rows, n]");
  add_numbers(c, "--rows", topk.rows, "query rows");
  add_numbers(c, "--n", topk.n, "columns");
  add_numbers(c, "--k", topk.k, "selected a row", INT32_MAX);
  c->add_option("--shapes", topk.triples, "ROWSxNxK, instead of the three")->delimiter(',');
  add_model(c, topk);
  add_dtypes(c, topk, "f32");
  topk.patterns = {"randn"};
  c->add_option("--pattern", topk.patterns, "of the scores")
      ->delimiter(',')
      ->check(CLI::IsMember(pattern_names()))
      ->capture_default_str();
  add_outputs(c, topk);
  c->add_option("--order", topk.order, "of the outputs")
      ->check(one_of(kOrders))
      ->capture_default_str();
  c->add_option("--ties", topk.ties, "which of equal scores")
      ->check(one_of(kTies))
      ->capture_default_str();
  c->add_option("--lengths", topk.lengths,
                "of the rows, in a capacity of n: a number, log-uniform");
  c->add_flag("--to-maximum", topk.to_maximum,
              "by turns with a vectorised maximum over the first row");

  const auto add_indexer_command = [&](const char* name, const char* help, Shapes& s) {
    CLI::App* command = add_command(app, name, help);
    add_numbers(command, "--queries", s.rows, "query rows (64)");
    add_numbers(command, "--keys", s.n, "keys (65536)");
    add_numbers(command, "--heads", s.heads, "indexer heads (64)");
    add_numbers(command, "--dim", s.dim, "dim of a head (128)");
    add_model(command, s);
    add_dtypes(command, s, "bf16");
    command->add_option("--q-dtype", s.q_dtype, "of q")->check(one_of(kDtypes));
    command->add_option("--key-dtype", s.key_dtype, "of keys; fp8-132: packed pages of 64")
        ->check(CLI::IsMember({"f32", "f16", "bf16", "e4m3", "fp8-132"}));
    s.patterns = {"randn"};
    command->add_option("--pattern", s.patterns, "of q, keys and w")
        ->delimiter(',')
        ->check(CLI::IsMember({"randn", "real"}))
        ->capture_default_str();
    command->add_flag("--causal", s.causal, "the queries are the last of the keys");
    command
        ->add_option("--batch", s.batch,
                     "requests, each with all these keys and its share of the queries")
        ->check(CLI::Range(int64_t{1}, int64_t{1} << 31));
    return command;
  };
  c = add_indexer_command("indexer", "dsa_indexer: scores [queries, keys]", indexer);
  c->add_option("--score-dtype", indexer.out_dtype, "of the scores (f32)")
      ->check(CLI::IsMember({"f32", "bf16"}));
  c = add_indexer_command("indexer_topk", "dsa_indexer_topk", fused);
  add_numbers(c, "--k", fused.k, "selected a row (2048)", INT32_MAX);
  fused.outputs = "indices";
  add_outputs(c, fused);

  c = add_command(app, "attn",
                  "dsa_sparse_attn over [queries, k] of the keys, one KV row for all heads");
  add_numbers(c, "--queries", attn.rows, "query rows (64)");
  add_numbers(c, "--keys", attn.n, "keys (65536)");
  add_numbers(c, "--k", attn.k, "selected a row (2048)", INT32_MAX);
  add_numbers(c, "--heads", attn.heads, "heads (128)");
  add_numbers(c, "--dim", attn.dim, "dim of a key (576)");
  add_numbers(c, "--value-dim", attn.value_dim, "dim of a value (512)");
  add_model(c, attn);
  add_dtypes(c, attn, "bf16");
  c->add_option("--q-dtype", attn.q_dtype, "of q")->check(one_of(kDtypes));
  c->add_option("--key-dtype", attn.key_dtype, "of the keys; fp8-656: packed tokens")
      ->check(CLI::IsMember({"f32", "f16", "bf16", "e4m3", "fp8-656"}));
  c->add_option("--out-dtype", attn.out_dtype, "of the output")
      ->check(CLI::IsMember({"f32", "f16", "bf16"}));
  attn.selections = {"random"};
  c->add_option("--select", attn.selections,
                "random: each query its own keys; shared: all the same; window: the last k; all: "
                "dense")
      ->delimiter(',')
      ->check(CLI::IsMember({"random", "shared", "window", "all"}))
      ->capture_default_str();

  c = add_command(app, "chain", "dsa_indexer_topk, then dsa_sparse_attn over it: a causal prefill");
  add_numbers(c, "--queries", chain.rows, "query rows (4096)");
  add_numbers(c, "--keys", chain.n, "keys (32768)");
  add_numbers(c, "--heads", chain.heads, "attention heads (the model's)");
  add_model(c, chain);
  add_dtypes(c, chain, "bf16");
  chain.key_dtype = "e4m3";
  c->add_option("--key-dtype", chain.key_dtype, "of index queries and keys")
      ->check(one_of(kDtypes))
      ->capture_default_str();

  c = add_command(app, "routes",
                  "dsa_forward by every route, B requests of T causal queries on T keys");
  add_numbers(c, "--batch", o.sweep.batches, "B (1 to 64)");
  add_numbers(c, "--length", o.sweep.lengths, "T (64 to 8192)");
  add_numbers(c, "--k", o.sweep.ks, "selected a row (8 to 128)", INT32_MAX);
  c->add_flag("--quick", o.sweep.quick, "a few small shapes");
  c->add_option(
       "--gpu-busy", o.sweep.gpu_busy,
       "shares of the GPU that are declared as busy, and that a kernel takes meanwhile (0)")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 1.0));
  c->add_flag("--host-tensors", o.sweep.host_tensors,
              "all tensors in host memory: routes of the GPU copy them there and back");
  c->add_option("--timeline", o.sweep.timeline, "write the stages of hybrid calls there (CSV)");
  c = add_command(app, "tune", "dsa_tune: measure the constants behind `auto`, write their file");
  c->add_option("--path", o.tune_path, "the file (DSA_TUNE_FILE, else in the user's cache folder)");

  add_command(app, "roofs", "what the machine can do: multiply-adds, memory, a maximum");
  add_command(app, "overhead", "a call of dsa_topk on 1 x 128, k 8");
  std::vector<std::string> only;
  bool list = false;
  c = add_command(app, "suite", "the shapes by which a release is judged");
  c->add_option("--only", only, "groups of it")->delimiter(',');
  c->add_flag("--list", list, "print the groups' names");

  try {
    app.parse(argc, argv);
    o.context.cuda = o.device == "cuda";
    for (const std::string& name : o.timings) o.device_modes.push_back(device_mode_from_name(name));
    const auto given = [&app](const char* name) { return app.got_subcommand(name); };
    if (given("topk")) add_topk_jobs(topk, o);
    if (given("indexer")) add_indexer_jobs(indexer, false, o);
    if (given("indexer_topk")) add_indexer_jobs(fused, true, o);
    if (given("attn")) add_attn_jobs(attn, o);
    if (given("chain")) add_chain_jobs(chain, o);
    spread_over_modes(o);
    if (given("routes")) o.command = Options::Command::kRoutes;
    if (given("tune")) o.command = Options::Command::kTune;
    if (given("roofs")) o.roofs_only = o.roofs = true;
    if (given("overhead")) o.suite = {"overhead"};
    const auto& groups = o.context.cuda ? device_suite_groups() : suite_groups();
    if (given("suite")) o.suite = only.empty() ? groups : only;
    for (const std::string& group : only) {
      if (std::find(groups.begin(), groups.end(), group) == groups.end()) {
        throw CLI::ValidationError(
            "--only", fmt::format("'{}' is none of {}", group, fmt::join(groups, ", ")));
      }
    }
    if (list) {
      fmt::print("{}\n", fmt::join(groups, "\n"));
      exit_code = 0;
      return false;
    }
  } catch (const CLI::ParseError& error) {
    exit_code = error.get_exit_code() == 0 ? app.exit(error) : 2;
    if (exit_code == 2) {
      // One line, also where CLI11 writes several.
      std::string what = error.what();
      std::replace(what.begin(), what.end(), '\n', ' ');
      fmt::print(stderr, "dsa-bench: {} (--help lists the options)\n", what);
    }
    return false;
  }
  return true;
}

}  // namespace bench
