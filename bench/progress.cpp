#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "measure.h"

namespace bench {

Progress::Progress(int64_t total, bool quiet)
    : total_(total),
      quiet_(quiet),
      terminal_(isatty(STDERR_FILENO) != 0),
      begin_(now()),
      last_(begin_) {}

Progress::~Progress() { clear(); }

void Progress::step(const std::string& what) {
  ++started_;
  if (quiet_) return;
  constexpr double kSeconds = 4;  // between lines that nothing rewrites
  const double t = now();
  if (!terminal_ && t - last_ < kSeconds) return;
  last_ = t;
  std::string line = fmt::format("{:3}/{} {:.0f} s", started_, total_, t - begin_);
  if (started_ > 1) {
    line += fmt::format(", about {:.0f} s left",
                        (t - begin_) / double(started_ - 1) * double(total_ - started_ + 1));
  }
  fmt::print(stderr, "{}{}: {}{}", terminal_ ? "\r" : "", line, what, terminal_ ? "\x1b[K" : "\n");
  std::fflush(stderr);
  shown_ = true;
}

void Progress::clear() {
  if (terminal_ && shown_) fmt::print(stderr, "\r\x1b[K");
  shown_ = false;
}

}  // namespace bench
