#include "peers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace bench {
namespace {

std::vector<std::string> fields_of(std::string line) {
  if (!line.empty() && line.back() == '\r') line.pop_back();
  std::vector<std::string> fields;
  std::istringstream in(line + ",");
  for (std::string field; std::getline(in, field, ',');) fields.push_back(field);
  return fields;
}

bool ends_in(const std::string& name, const std::string& end) {
  return name.size() > end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
}
bool ends_in_us(const std::string& name) { return ends_in(name, "_us"); }

std::string text_of(const Record& record, const std::string& key) {
  const auto found = record.find(key);
  if (found == record.end()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

}  // namespace

void Peers::read(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  if (!std::getline(file, text)) throw std::invalid_argument("cannot read " + path);
  const std::vector<std::string> head = fields_of(text);
  bool has_times = false;
  for (const std::string& name : head) {
    if (!ends_in_us(name)) continue;
    has_times = true;
    const std::string peer = name.substr(0, name.size() - 3);
    if (std::find(names_.begin(), names_.end(), peer) == names_.end()) names_.push_back(peer);
  }
  if (!has_times) {
    throw std::invalid_argument(path + ": no column of times (a name that ends in _us)");
  }
  for (int number = 2; std::getline(file, text); ++number) {
    const std::vector<std::string> fields = fields_of(text);
    if (fields.size() != head.size()) {
      throw std::invalid_argument(fmt::format("{}:{}: {} fields, the first line has {}", path,
                                              number, fields.size(), head.size()));
    }
    Line line;
    if (std::find(head.begin(), head.end(), "op") == head.end()) {
      line.keys = {{"op", "topk"}, {"dtype", "f32"}, {"pattern", "randn"}};
    }
    for (size_t i = 0; i < head.size(); ++i) {
      if (fields[i].empty()) continue;
      if (ends_in_us(head[i])) {
        line.times[head[i].substr(0, head[i].size() - 3)] = std::atof(fields[i].c_str());
      } else if (std::find(columns().begin(), columns().end(), head[i]) != columns().end()) {
        line.keys[head[i]] = fields[i];
      }
    }
    lines_.push_back(std::move(line));
  }
}

void Peers::compare(Record& record) const {
  if (!record.contains("median_us")) return;
  for (const Line& line : lines_) {
    const bool is_for = std::all_of(line.keys.begin(), line.keys.end(), [&](const auto& key) {
      return text_of(record, key.first) == key.second;
    });
    if (!is_for) continue;
    for (const auto& [name, time] : line.times) {
      const char* timing = ends_in(name, "_cold") ? "cold" : "warm";
      if (line.keys.count("timing") == 0 && record.value("timing", "warm") != timing) continue;
      record["to_" + name] = time / record["median_us"].get<double>();
    }
    return;
  }
}

}  // namespace bench
