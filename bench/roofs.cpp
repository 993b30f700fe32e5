#include "roofs.h"

#include <fmt/format.h>
#include <unistd.h>

#if defined(BENCH_X86)
#include <cpuid.h>
#endif

#include <algorithm>
#include <cstring>
#include <functional>

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

// The most operations a second that the team reached in any repeat of `work(thread, rounds)`.
double best_rate(Team& team, double seconds, double operations_a_round,
                 const std::function<void(int, int64_t)>& work) {
  int64_t rounds = 16;
  for (;;) {  // to repeats of an eighth of the time
    const double t = team.run([&](int thread) { work(thread, rounds); });
    if (t > seconds / 16) break;
    rounds = t < seconds / 256 ? rounds * 8 : rounds * 2;
  }
  double best = 0;
  const double begin = now();
  for (int i = 0; i < 3 || now() - begin < seconds; ++i) {
    const double t = team.run([&](int thread) { work(thread, rounds); });
    best = std::max(best, operations_a_round * double(rounds) * team.size() / t);
  }
  return best;
}

Rate flop_rate_of(const std::string& name, Team& one, Team& all, double seconds, double flop,
                  float (*loop)(int64_t)) {
  const auto work = [loop](int, int64_t rounds) { sink = loop(rounds); };
  return {name, best_rate(one, seconds, flop, work) * 1e-9,
          best_rate(all, seconds, flop, work) * 1e-9, "GFLOP/s"};
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

void add_memory_rates(Roofs& found, Team& one, Team& all, double seconds,
                      const roofs::Loops& loops) {
  const int64_t bytes = memory_roof_bytes();
  found.memory_bytes = double(bytes);
  Array from(DSA_U8, {bytes}), to(DSA_U8, {bytes / 2});
  const auto share = [](int64_t total, int thread, int threads) {
    constexpr int64_t kUnit = 4096;
    const int64_t units = total / kUnit;
    const int64_t begin = units * thread / threads * kUnit;
    return std::pair(begin, units * (thread + 1) / threads * kUnit - begin);
  };
  all.run([&](int thread) {  // the pages lie where they are read
    const auto [begin, size] = share(bytes, thread, all.size());
    std::memset(from.data<char>() + begin, 1 + thread, size_t(size));
    const auto [begin_to, size_to] = share(bytes / 2, thread, all.size());
    std::memset(to.data<char>() + begin_to, 1, size_t(size_to));
  });
  const auto rate = [&](Team& team, bool copies) {
    double best = 0;
    const double begin = now();
    for (int i = 0; i < 3 || now() - begin < seconds; ++i) {
      const double t = team.run([&](int thread) {
        if (copies) {  // the first half into the other buffer
          const auto [at, size] = share(bytes / 2, thread, team.size());
          std::memcpy(to.data<char>() + at, from.data<char>() + at, size_t(size));
        } else {
          const auto [at, size] = share(bytes, thread, team.size());
          sink = double(loops.read(from.data<uint64_t>() + at / 8, size / 8));
        }
      });
      best = std::max(best, double(bytes) / t * 1e-9);  // a copy reads and writes half as much each
    }
    return best;
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

std::optional<double> Roofs::flop_rate(const std::string& family, int used_threads) const {
  if (gpu) {
    const Rate* rate = find(family == "sm80" ? "mma.bf16" : "wgmma.bf16");
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
