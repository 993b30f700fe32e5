#include "report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <stdexcept>

namespace bench {
namespace {

std::string duration(double us) {
  if (us < 1) return fmt::format("{:.1f} ns", us * 1e3);
  if (us < 1000) return fmt::format("{:.2f} us", us);
  if (us < 1e6) return fmt::format("{:.2f} ms", us * 1e-3);
  return fmt::format("{:.2f} s", us * 1e-6);
}

std::string text_of(const Record& record, const std::string& key) {
  const auto found = record.find(key);
  if (found == record.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

std::string shape_of(const Record& record) {
  std::string shape = fmt::format("{} x {}", text_of(record, "rows"), text_of(record, "n"));
  if (record.contains("k")) shape += fmt::format(", k {}", text_of(record, "k"));
  if (record.contains("batch")) shape += fmt::format(", batch {}", text_of(record, "batch"));
  if (record.contains("heads")) {
    shape += fmt::format(", {} x {}", text_of(record, "heads"), text_of(record, "dim"));
  }
  if (record.contains("value_dim")) shape += fmt::format("/{}", text_of(record, "value_dim"));
  return shape;
}

std::string percent(const Record& record, const char* key) {
  return record.contains(key) ? fmt::format("{:.0f}%", record[key].get<double>() * 100) : "";
}

std::string number(const Record& record, const char* key) {
  return record.contains(key) ? fmt::format("{:.1f}", record[key].get<double>()) : "";
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
}

}  // namespace

const std::vector<std::string>& columns() {
  static const std::vector<std::string> names = {
      "op",        "group",     "model",    "kernel",    "threads",    "dtype",
      "pattern",   "outputs",   "rows",     "n",         "k",          "heads",
      "dim",       "value_dim", "batch",    "timing",    "samples",    "calls",
      "median_us", "min_us",    "p10_us",   "p90_us",    "bytes",      "flop",
      "gb_s",      "gflop_s",   "mem_roof", "flop_roof", "to_maximum", "workspace_bytes",
      "check",     "note"};
  return names;
}

void set_timing(Record& record, const Timing& timing, double bytes, double flop,
                const Roofs* roofs) {
  record["samples"] = timing.samples;
  record["calls"] = timing.calls;
  record["median_us"] = timing.median * 1e6;
  record["min_us"] = timing.min * 1e6;
  record["p10_us"] = timing.p10 * 1e6;
  record["p90_us"] = timing.p90 * 1e6;
  record["bytes"] = bytes;
  record["gb_s"] = bytes / timing.median * 1e-9;
  if (flop > 0) {
    record["flop"] = flop;
    record["gflop_s"] = flop / timing.median * 1e-9;
  }
  if (!roofs) return;
  const int threads = record.value("threads", 1);
  if (const auto rate = roofs->read_rate(threads)) {
    record["mem_roof"] = record["gb_s"].get<double>() / *rate;
  }
  const std::string kernel = record["kernel"].get<std::string>();
  const auto rate = roofs->flop_rate(kernel.substr(kernel.rfind('.') + 1), threads,
                                     record["dtype"].get<std::string>());
  if (flop > 0 && rate) record["flop_roof"] = record["gflop_s"].get<double>() / *rate;
}

bool Report::any_failed() const {
  return std::any_of(records_.begin(), records_.end(),
                     [](const Record& record) { return text_of(record, "check") == "FAILED"; });
}

void Report::print_table() const {
  std::vector<std::string> head = {"shape",  "dtype",   "pattern", "kernel", "threads", "timing",
                                   "median", "p10-p90", "GB/s",    "mem",    "GFLOP/s", "flop",
                                   "to max", "check",   "outputs", "note"};
  const size_t checks = head.size() - 3;
  for (size_t i = 0; i < peers_.size(); ++i) {
    head.insert(head.begin() + long(checks + i), "to " + peers_[i]);
  }
  constexpr size_t kLeft = 4;  // columns of text, aligned to the left
  std::vector<std::vector<std::string>> lines = {head};
  for (const Record& record : records_) {
    std::vector<std::string> line = {shape_of(record),           text_of(record, "dtype"),
                                     text_of(record, "pattern"), text_of(record, "kernel"),
                                     text_of(record, "threads"), text_of(record, "timing")};
    if (record.contains("median_us")) {
      const double median = record["median_us"];
      line.push_back(duration(median));
      line.push_back(fmt::format("-{:.0f}+{:.0f}%",
                                 (1 - record["p10_us"].get<double>() / median) * 100,
                                 (record["p90_us"].get<double>() / median - 1) * 100));
    } else {
      line.insert(line.end(), 2, "");
    }
    line.push_back(number(record, "gb_s"));
    line.push_back(percent(record, "mem_roof"));
    line.push_back(number(record, "gflop_s"));
    line.push_back(percent(record, "flop_roof"));
    line.push_back(record.contains("to_maximum")
                       ? fmt::format("{:.2f}x", record["to_maximum"].get<double>())
                       : "");
    for (const std::string& peer : peers_) {
      const std::string key = "to_" + peer;
      line.push_back(record.contains(key) ? fmt::format("{:.2f}x", record[key].get<double>()) : "");
    }
    line.push_back(text_of(record, "check"));
    line.push_back(text_of(record, "outputs"));
    line.push_back(text_of(record, "note"));
    lines.push_back(line);
  }

  // A column that no record fills takes no place.
  std::vector<size_t> widths(head.size(), 0);
  for (size_t i = 0; i < head.size(); ++i) {
    for (size_t row = 1; row < lines.size(); ++row) {
      widths[i] = std::max(widths[i], lines[row][i].size());
    }
    if (widths[i] > 0) widths[i] = std::max(widths[i], head[i].size());
  }
  std::string group;
  for (size_t row = 0; row < lines.size(); ++row) {
    if (row > 0) {
      const Record& record = records_[row - 1];
      std::string here = text_of(record, "op");
      if (record.contains("group")) here += fmt::format(" ({})", text_of(record, "group"));
      if (here != group) fmt::print("{}{}\n", row > 1 ? "\n" : "", here);
      group = here;
    }
    std::string text;
    for (size_t i = 0; i < head.size(); ++i) {
      if (widths[i] == 0) continue;
      const bool left = i < kLeft || i + 2 >= head.size();
      text += left ? fmt::format("{:<{}}  ", lines[row][i], widths[i])
                   : fmt::format("{:>{}}  ", lines[row][i], widths[i]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    fmt::print("{}\n", text);
  }
}

void Report::print_ratios() const {
  if (!peers_.empty()) fmt::print("\n");
  for (const std::string& peer : peers_) {
    double logs = 0, least = INFINITY;
    int64_t cells = 0;
    std::string where;
    for (const Record& record : records_) {
      const auto found = record.find("to_" + peer);
      if (found == record.end()) continue;
      const double ratio = *found;
      logs += std::log(ratio);
      ++cells;
      if (ratio < least) {
        least = ratio;
        where = shape_of(record);
      }
    }
    if (cells == 0) continue;
    fmt::print("to {}: geometric mean {:.2f}x of {}, least {:.2f}x ({})\n", peer,
               std::exp(logs / double(cells)), cells, least, where);
  }
}

void Report::write_csv(const std::string& path) const {
  std::vector<std::string> names = columns();
  names.insert(names.end(), extra_.begin(), extra_.end());
  for (const std::string& peer : peers_) names.push_back("to_" + peer);
  std::string text = fmt::format("{}\n", fmt::join(names, ","));
  for (const Record& record : records_) {
    std::vector<std::string> fields;
    for (const std::string& column : names) {
      std::string field = text_of(record, column);
      // Lists of outputs and error texts: no separators, so that a field never needs quotes.
      std::replace_if(
          field.begin(), field.end(),
          [](char c) { return c == ',' || c == ';' || c == '"' || c == '\n'; }, ' ');
      fields.push_back(field);
    }
    text += fmt::format("{}\n", fmt::join(fields, ","));
  }
  write_file(path, text);
}

void Report::write_json(const std::string& path, const nlohmann::ordered_json& head) const {
  nlohmann::ordered_json all = head;
  all["results"] = records_;
  write_file(path, all.dump(1) + "\n");
}

}  // namespace bench
