// dsa-bench tune.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "routes/sweep.h"

namespace bench::routes {
namespace {

void show_progress(void*, double done, const char* what) {
  const bool terminal = isatty(STDERR_FILENO) != 0;
  fmt::print(stderr, "{}{:3.0f} %: {}{}", terminal ? "\r" : "", done * 100, what,
             terminal ? "\x1b[K" : "\n");
  if (terminal && done >= 1) fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
}

}  // namespace

void run_tune(const ContextSpec& spec, const std::string& path, bool quiet) {
  const Context context(spec);
  dsa_tune_options options = {};
  options.struct_size = sizeof options;
  if (!path.empty()) options.path = path.c_str();
  if (!quiet) options.progress = show_progress;
  check(dsa_tune(context.get(), &options));
  fmt::print("{}\n", context.describe().value("tune", ""));
}

}  // namespace bench::routes
