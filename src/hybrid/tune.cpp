#include "hybrid/tune.h"

#include <charconv>
#include <cmath>
#include <map>

namespace dsa {
namespace {

constexpr const char* kFirstLine = "libdsa-tune 1";
constexpr const char* kLastLine = "end";
// Beyond these a number is not one that a machine has.
constexpr double kLeast = 1e-12, kMost = 1e18;

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// Independent of the locale, unlike printf.
std::string number_text(double value) {
  char buffer[40];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::general, 6).ptr;
  return {buffer, end};
}

bool parse_number(const std::string& text, double& value) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  return result.ec == std::errc() && result.ptr == end;
}

// The lines "name = value"; what stands behind # is for people.
struct Entries {
  std::string machine;
  std::map<std::string, std::pair<double, int>> numbers;  // and the line it stands in
};

std::string at_line(int number, const std::string& what) {
  return "line " + std::to_string(number) + ": " + what;
}

std::string read_line(const std::string& line, int number, Entries& entries) {
  const size_t equals = line.find('=');
  const std::string name = trimmed(line.substr(0, equals));
  if (equals == std::string::npos || name.empty()) {
    return at_line(number, "is not \"name = value\"");
  }
  if (name == "machine") {
    entries.machine = trimmed(line.substr(equals + 1));
    return "";
  }
  const std::string text = trimmed(line.substr(equals + 1, line.find('#', equals) - equals - 1));
  double value = 0;
  if (!parse_number(text, value) || !std::isfinite(value)) {
    return at_line(number, name + " is \"" + text + "\", no number");
  }
  if (value < kLeast || value > kMost) {
    return at_line(number, name + " is " + text + ", must be 1e-12 to 1e18");
  }
  if (!entries.numbers.emplace(name, std::pair(value, number)).second) {
    return at_line(number, name + " stands there twice");
  }
  return "";
}

std::string read_lines(const std::string& text, Entries& entries) {
  int number = 0;
  bool ended = false;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = trimmed(text.substr(begin, end - begin));
    begin = end + 1;
    ++number;
    if (number == 1) {
      if (line != kFirstLine) return "line 1: is not \"" + std::string(kFirstLine) + "\"";
      continue;
    }
    if (line.empty() || line[0] == '#') continue;
    if (ended) return at_line(number, "stands behind \"end\"");
    if (line == kLastLine) {
      ended = true;
      continue;
    }
    std::string wrong = read_line(line, number, entries);
    if (!wrong.empty()) return wrong;
  }
  if (number == 0) return "it is empty";
  return ended ? "" : "its last line is not \"end\": it was cut off";
}

}  // namespace

Tune Tune::built_in() {
  Tune tune;
  tune.threads = 16;
  tune.cpu.call = 40e-6;
  tune.cpu.index = {{{8e11, 4e9}, {1.5e12, 4e9}, {7e11, 4e9}}};
  tune.cpu.attend_shared = {3e11, 7e11, 3e11};
  tune.cpu.attend_apart = {2.5e10, 2e10, 2e10};
  tune.cpu.select_score = 2e10;
  tune.cpu.select_row = 5e7;
  tune.cpu.select_kept = 4e9;
  tune.gpu.call = 60e-6;
  tune.gpu.index = {{{1.3e13, 1e11}, {5e14, 3e10}, {8e14, 3e10}}};
  tune.gpu.attend_shared = {1.7e12, 8e13, 7e13};
  tune.gpu.attend_apart = {1.5e12, 6e10, 3.5e10};
  tune.gpu.select_score = 2.3e11;
  tune.gpu.select_row = 1e9;
  tune.gpu.select_kept = 5e11;
  tune.hybrid = {.down = 2.7e10,
                 .up = 2.7e10,
                 .pageable_down = 8e9,
                 .pageable_up = 6e9,
                 .copy = 8e-6,
                 .latency = 14e-6,
                 .call = 120e-6,
                 .chunk = 40e-6,
                 .cut_score = 8e9,
                 .cut_row = 4e7,
                 .pack_score = 2.3e10,
                 .take_score = 2e10,
                 .filter_score = 1.9e10,
                 .filter_kept = 3};
  tune.has_gpu = true;
  return tune;
}

std::string write_tune(const Tune& tune, const std::string& machine) {
  std::string text = std::string(kFirstLine) + "\n";
  text +=
      "# Written by dsa_tune for `auto` of dsa_forward. Without this file built-in constants are\n"
      "# used; a change here changes which route `auto` takes, never a result.\n";
  text += "machine = " + machine + "\n";
  each_constant(tune, [&text](const std::string& name, const char* unit, double value) {
    text += name + " = " + number_text(value) + " # " + unit + "\n";
  });
  return text + kLastLine + "\n";
}

std::string parse_tune(const std::string& text, const std::string& machine, Tune& tune) {
  Entries entries;
  std::string wrong = read_lines(text, entries);
  if (!wrong.empty()) return wrong;
  if (entries.machine != machine) {
    return "it is of another machine: \"" + entries.machine + "\", this is \"" + machine + "\"";
  }
  Tune read = tune;
  each_constant(read, [&](const std::string& name, const char*, double& value) {
    const auto found = entries.numbers.find(name);
    if (found == entries.numbers.end()) {
      if (wrong.empty()) wrong = name + " is missing";
      return;
    }
    value = found->second.first;
    entries.numbers.erase(found);
  });
  if (!wrong.empty()) return wrong;
  if (!entries.numbers.empty()) {
    const auto& [name, number] = *entries.numbers.begin();
    return at_line(number.second, "there is no constant \"" + name + "\"");
  }
  tune = read;
  return "";
}

}  // namespace dsa
