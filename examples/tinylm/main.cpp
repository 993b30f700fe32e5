#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string>

#include "demo.h"
#include "error.h"
#include "options.h"

namespace {

void report(const char *what) {
  std::fflush(stdout);
  fmt::print(stderr, "tinylm: error: {}\n", what);
}

}  // namespace

int main(int argc, char **argv) {
  try {
    tinylm::Options options;
    if (!tinylm::parse_options(argc, argv, options)) return 0;
    if (tinylm::run_demo(options)) return 0;
    report("a check failed, see above");
    return 1;
  } catch (const tinylm::BadInput &error) {
    report(error.what());
    return 2;
  } catch (const std::exception &error) {
    report(error.what());
    return 1;
  }
}
