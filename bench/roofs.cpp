#include "roofs.h"

#include <fmt/format.h>
#include <unistd.h>

#if defined(BENCH_X86)
#include <cpuid.h>
#endif

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>

#include "array.h"
#include "fill.h"
#include "roofs/loops.h"
#include "team.h"

namespace bench {
namespace {

// Keeps results alive that nobody looks at.
volatile double sink;

int tier(const Context& context) {
  static const std::vector<std::string> names = {"scalar", "avx2", "avx512", "amx"};
  return int(std::find(names.begin(), names.end(), context.isa_found()) - names.begin());
}

#if defined(BENCH_X86)
bool has_avx512_bf16() {
  uint32_t a = 0, b, c, d;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
}
#endif

// The most that the team got through in a second: `piece(thread)` does `amount` of it. Every thread
// does pieces until the time is up, and their rates add up. (Equal shares, timed to the end of the
// last one, would measure the slowest core times the number of cores: on a machine whose cores are
// shared, less than what a kernel reaches that hands out work as it is done.)
double best_rate(Team& team, double seconds, double amount, const std::function<void(int)>& piece) {
  const double slice = seconds / 8;
  std::vector<double> rates(size_t(team.size()));
  double best = 0;
  const double begin = now();
  for (int i = 0; i < 3 || now() - begin < seconds; ++i) {
    team.run([&](int thread) {
      const double start = now();
      double spent = 0, done = 0;
      for (; spent < slice; spent = now() - start) {
        piece(thread);
        done += amount;
      }
      rates[size_t(thread)] = done / spent;
    });
    best = std::max(best, std::accumulate(rates.begin(), rates.end(), 0.0));
  }
  return best;
}

// Rounds that take some 20 us: a look at the clock between two pieces costs nothing then.
int64_t rounds_of_a_piece(float (*loop)(int64_t)) {
  for (int64_t rounds = 16;; rounds *= 2) {
    const double start = now();
    sink = loop(rounds);
    if (now() - start > 20e-6) return rounds;
  }
}

Rate flop_rate_of(const std::string& name, Team& one, Team& all, double seconds, double flop,
                  float (*loop)(int64_t)) {
  const int64_t rounds = rounds_of_a_piece(loop);
  const auto piece = [&](int) { sink = loop(rounds); };
  const double amount = flop * double(rounds) * 1e-9;
  return {name, best_rate(one, seconds, amount, piece), best_rate(all, seconds, amount, piece),
          "GFLOP/s"};
}

// A buffer that no cache holds: twice the last level, 256 MiB at least, and at most an eighth of
// the machine's memory.
int64_t memory_roof_bytes() {
  const int64_t cache = std::max<int64_t>(sysconf(_SC_LEVEL3_CACHE_SIZE), 0);
  const int64_t memory = int64_t(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
  const int64_t wanted = std::min(std::max<int64_t>(int64_t{256} << 20, 2 * cache),
                                  std::min<int64_t>(int64_t{1} << 30, memory / 8));
  return wanted / (1 << 20) * (1 << 20);
}

// Each thread goes round and round in its own share of the buffer.
void add_memory_rates(Roofs& found, Team& one, Team& all, double seconds,
                      const roofs::Loops& loops) {
  constexpr int64_t kPiece = 1 << 20;  // at 10 GB/s 100 us
  const int64_t pieces = memory_roof_bytes() / kPiece;
  found.memory_bytes = double(pieces * kPiece);
  Array from(DSA_U8, {pieces * kPiece}), to(DSA_U8, {pieces * kPiece / 2});
  const auto rate = [&](Team& team, bool copies) {
    const int64_t total = copies ? pieces / 2 : pieces;
    std::vector<int64_t> next(size_t(team.size()));
    const auto first = [&](int thread) { return total * thread / team.size(); };
    const auto take = [&](int thread) {
      int64_t& at = next[size_t(thread)];
      if (at < first(thread) || at >= first(thread + 1)) at = first(thread);
      return at++ * kPiece;
    };
    team.run([&](int thread) {  // the pages lie where they are used
      const int64_t at = first(thread) * kPiece, size = first(thread + 1) * kPiece - at;
      std::memset(from.data<char>() + at, 1 + thread, size_t(size));
      if (copies) std::memset(to.data<char>() + at, 1, size_t(size));
    });
    // A copied piece is read and written.
    return best_rate(team, seconds, double(kPiece) * (copies ? 2 : 1) * 1e-9, [&](int thread) {
      const int64_t at = take(thread);
      if (copies) {
        std::memcpy(to.data<char>() + at, from.data<char>() + at, size_t(kPiece));
      } else {
        sink = double(loops.read(from.data<uint64_t>() + at / 8, kPiece / 8));
      }
    });
  };
  found.rates.push_back({"memory.read", rate(one, false), rate(all, false), "GB/s"});
  found.rates.push_back({"memory.copy", rate(one, true), rate(all, true), "GB/s"});
}

const roofs::Loops& best_loops(const Context& context) {
#if defined(BENCH_X86)
  if (tier(context) >= 2) return roofs::kAvx512;
  if (tier(context) >= 1) return roofs::kAvx2;
#else
  (void)context;
#endif
  return roofs::kBaseline;
}

}  // namespace

const Rate* Roofs::find(const std::string& name) const {
  for (const Rate& rate : rates) {
    if (rate.name == name) return &rate;
  }
  return nullptr;
}

std::optional<double> Roofs::flop_rate(const std::string& family, int used_threads,
                                       const std::string& dtype) const {
  if (gpu) {
    if (dtype.starts_with("f32")) return std::nullopt;  // no tensor cores
    // FP8 is converted where the family has no product of it.
    const Rate* rate = find(family != "sm90"            ? "mma.bf16"
                            : dtype.starts_with("e4m3") ? "wgmma.e4m3"
                                                        : "wgmma.bf16");
    if (!rate) return std::nullopt;
    return rate->all;
  }
  const Rate* rate = find(family == "amx" ? "amx.bf16" : "fma." + family + ".f32");
  if (!rate) return std::nullopt;
  return used_threads == threads ? rate->all : rate->one * used_threads;
}

std::optional<double> Roofs::read_rate(int used_threads) const {
  const Rate* rate = find("memory.read");
  if (!rate) return std::nullopt;
  return gpu || used_threads == threads ? rate->all : std::min(rate->all, rate->one * used_threads);
}

nlohmann::ordered_json Roofs::json() const {
  nlohmann::ordered_json out;
  if (gpu) {
    for (const Rate& rate : rates) {
      out["rates"][rate.name] = {{"all", rate.all}, {"unit", rate.unit}};
    }
    return out;
  }
  out["threads"] = threads;
  for (const Rate& rate : rates) {
    out["rates"][rate.name] = {{"one", rate.one}, {"all", rate.all}, {"unit", rate.unit}};
  }
  out["memory_bytes"] = memory_bytes;
  out["maximum_131072_us"] = maximum_us;
  return out;
}

void Roofs::print() const {
  if (gpu) {
    for (const Rate& rate : rates) {
      fmt::print("{:<22} {:>12.1f} {}\n", rate.name, rate.all, rate.unit);
    }
    return;
  }
  fmt::print("{:<22} {:>12} {:>12}\n", "roof", "one core",
             threads == 1 ? "1 thread" : fmt::format("{} threads", threads));
  for (const Rate& rate : rates) {
    fmt::print("{:<22} {:>12.1f} {:>12.1f} {}\n", rate.name, rate.one, rate.all, rate.unit);
  }
  fmt::print("{:<22} {:>12.2f} {:>12} us\n", "maximum of 131072 f32", maximum_us, "");
}

Maximum best_maximum(const Context& context) { return best_loops(context).maximum; }

Roofs measure_roofs(const Context& context, double seconds) {
  if (Device* device = context.device()) {
    Roofs found;
    found.gpu = true;
    for (const DeviceRate& rate : device->roofs(seconds)) {
      found.rates.push_back({rate.name, 0, rate.rate, rate.unit});
    }
    return found;
  }
  Team one(1, {}), all(context.threads(), context.cores());
  Roofs found;
  found.threads = context.threads();
  const auto add = [&](const char* name, double flop, float (*loop)(int64_t)) {
    found.rates.push_back(flop_rate_of(name, one, all, seconds, flop, loop));
  };
  using namespace roofs;
  add("fma.scalar.f32", kBaseline.multiply_add_flop, kBaseline.multiply_add);
#if defined(BENCH_X86)
  if (tier(context) >= 1) add("fma.avx2.f32", kAvx2.multiply_add_flop, kAvx2.multiply_add);
  if (tier(context) >= 2) {
    add("fma.avx512.f32", kAvx512.multiply_add_flop, kAvx512.multiply_add);
    if (has_avx512_bf16()) add("avx512.bf16", kAvx512Bf16Flop, multiply_add_avx512_bf16);
  }
  if (tier(context) >= 3) add("amx.bf16", kAmxBf16Flop, multiply_add_amx_bf16);
#endif
  add_memory_rates(found, one, all, seconds, best_loops(context));

  Array row(DSA_F32, {kMaximumRow});
  fill_normal(row, 1);
  const Maximum maximum = best_maximum(context);
  TimingPlan plan;
  plan.min_time = seconds;
  const Timing t = measure(plan, [&] { sink = maximum(row.data<float>(), kMaximumRow); });
  found.maximum_us = t.min * 1e6;
  return found;
}

}  // namespace bench
