#include "routes/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace bench::routes {
namespace {

using Points = std::vector<std::vector<Record>>;

std::string shape_of(const Record& record) {
  const double busy = record["gpu_busy"];
  return fmt::format("{} x {}, k {}{}", record["batch"].get<int64_t>(), record["n"].get<int64_t>(),
                     record["k"].get<int32_t>(), busy > 0 ? fmt::format(", busy {}", busy) : "");
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Median times by length, and at how many points each route is the best.
void print_best(const Points& points) {
  std::map<int64_t, std::map<std::string, std::vector<double>>> times;
  std::map<std::string, int> best;
  for (const auto& records : points) {
    for (const Record& r : records) {
      if (!r.contains("median_us")) continue;
      const std::string name = r["kernel"];
      times[r["n"].get<int64_t>()][name].push_back(r["median_us"]);
      if (r.contains("to_best") && r["to_best"].get<double>() == 1 && name != "auto") ++best[name];
    }
  }
  fmt::print("median over the points of a length, us\n");
  for (const auto& [length, routes] : times) {
    std::string line = fmt::format("  T {:>5}", length);
    for (const auto& [name, values] : routes) {
      line += fmt::format("  {} {:.1f}", name, median_of(values));
    }
    fmt::print("{}\n", line);
  }
  fmt::print("best at");
  for (const auto& [name, count] : best) fmt::print("  {} {}", name, count);
  fmt::print("  of {} points\n", points.size());
}

void print_auto(const Points& points) {
  int near = 0, all = 0;
  const Record* worst = nullptr;
  for (const auto& records : points) {
    const Record& r = records.back();
    if (!r.contains("to_best")) continue;
    ++all;
    const double ratio = r["to_best"], over = r["over_best_us"];
    if (ratio <= 1.1 || over <= 5) {
      ++near;
    } else if (!worst || ratio > (*worst)["to_best"].get<double>()) {
      worst = &r;
    }
  }
  if (all == 0) return;
  fmt::print("auto within 10 % or 5 us of the best: {} of {} points ({:.1f} %)", near, all,
             100.0 * near / all);
  if (worst) {
    fmt::print("; worst {:.2f}x ({:.1f} us) at {}, {}", (*worst)["to_best"].get<double>(),
               (*worst)["over_best_us"].get<double>(), shape_of(*worst),
               (*worst)["picked"].get<std::string>());
  }
  fmt::print("\n");
}

void print_overlap(const Points& points) {
  struct Class {
    double least, most;
    const char* name;
  };
  for (const Class& c : {Class{0, 4e6, "below 4 M scores"}, Class{4e6, 16e6, "4 M to 16 M"},
                         Class{16e6, 1e18, "from 16 M"}}) {
    std::vector<double> ratios;
    const Record* worst = nullptr;
    for (const auto& records : points) {
      for (const Record& r : records) {
        const double scores = r.contains("scores") ? r["scores"].get<double>() : 0;
        if (!r.contains("to_longest") || r["kernel"] != "forward.hybrid" || scores < c.least ||
            scores >= c.most)
          continue;
        ratios.push_back(r["to_longest"]);
        if (!worst || ratios.back() > (*worst)["to_longest"].get<double>()) worst = &r;
      }
    }
    if (!worst) continue;
    fmt::print("hybrid over its longest stage alone, {}: median {:.2f}x, most {:.2f}x at {} ({})\n",
               c.name, median_of(ratios), (*worst)["to_longest"].get<double>(), shape_of(*worst),
               ratios.size());
  }
}

void print_shipped(const Points& points) {
  std::map<std::pair<int64_t, int32_t>, std::vector<double>> shares;
  for (const auto& records : points) {
    for (const Record& r : records) {
      if (r.contains("shipped_share") && r["kernel"] == "forward.hybrid_prefilter") {
        shares[{r["n"], r["k"]}].push_back(r["shipped_share"]);
      }
    }
  }
  if (shares.empty()) return;
  fmt::print("prefilter: bytes shipped over bytes of visible scores (T/k)");
  for (const auto& [key, values] : shares) {
    fmt::print(" {}/{} {:.1f}%", key.first, key.second, 100 * median_of(values));
  }
  fmt::print("\n");
}

// The points that others published.
void print_peers(const Points& points) {
  for (const auto& records : points) {
    for (const Record& r : records) {
      std::string ratios;
      for (const auto& [key, value] : r.items()) {
        if (key.rfind("to_", 0) != 0 || key == "to_best" || key == "to_longest") continue;
        ratios += fmt::format("  {:.2f}x {}", value.get<double>(), key.substr(3));
      }
      if (ratios.empty()) continue;
      fmt::print("{}: {} {:.1f} us", shape_of(r), r["kernel"].get<std::string>(),
                 r["median_us"].get<double>());
      if (r.contains("graph_us")) fmt::print(", {:.1f} in a graph", r["graph_us"].get<double>());
      fmt::print("{}\n", ratios);
    }
  }
}

}  // namespace

void Summary::add(const std::vector<Record>& records_of_point) {
  points_.push_back(records_of_point);
}

void Summary::print(const Context& context) const {
  const nlohmann::ordered_json& about = context.about();
  fmt::print("{}, {} threads, {}", about.value("cpu", "?"), context.threads(),
             about.value("isa_used", "?"));
  if (context.device()) fmt::print("; {}", about.value("cuda_device", "?"));
  fmt::print("\n");
  std::map<double, Points> by_busy;
  for (const auto& records : points_) by_busy[records[0]["gpu_busy"]].push_back(records);
  for (const auto& [busy, points] : by_busy) {
    fmt::print("\n");
    if (busy > 0) fmt::print("gpu_busy {}\n", busy);
    print_best(points);
    print_auto(points);
  }
  if (by_busy.contains(0)) {
    print_overlap(by_busy[0]);
    print_shipped(by_busy[0]);
    print_peers(by_busy[0]);
  }
}

}  // namespace bench::routes
