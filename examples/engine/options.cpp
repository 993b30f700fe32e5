#include "options.h"

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace engine {
namespace {

template <class Number>
bool read(const char *name, std::string_view text, int64_t low, int64_t high, Number &into) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
    std::fprintf(stderr, "%s must be %lld to %lld\n", name, static_cast<long long>(low),
                 static_cast<long long>(high));
    return false;
  }
  into = static_cast<Number>(value);
  return true;
}

}  // namespace

bool parse(int argc, char **argv, Options &options) {
  for (int i = 1; i < argc; ++i) {
    const char *name = argv[i];
    const char *value = i + 1 < argc ? argv[i + 1] : "";
    bool good = false;
    if (!std::strcmp(name, "--damage")) {
      options.damage = true;
      continue;
    }
    if (!std::strcmp(name, "--help")) {
      options.help = true;
      return true;
    }
    if (!std::strcmp(name, "--steps")) {
      good = read(name, value, 1, 1000000000, options.steps);
    } else if (!std::strcmp(name, "--workers")) {
      good = read(name, value, 1, 64, options.workers);
    } else if (!std::strcmp(name, "--threads")) {
      good = read(name, value, 0, 1024, options.threads);
    } else if (!std::strcmp(name, "--tokens")) {
      good = read(name, value, 1024, 1 << 24, options.tokens);
    } else {
      std::fprintf(stderr, "unknown option %s\n", name);
    }
    if (!good) return false;
    ++i;
  }
  return true;
}

}  // namespace engine
