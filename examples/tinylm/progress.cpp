#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

namespace tinylm {
namespace {

constexpr double kShowFrom = 2;      // seconds that it must take (a bar: is expected to take)
constexpr double kBarEvery = 0.1;    // seconds
constexpr double kLineEvery = 5;     // seconds
constexpr double kJudgeAfter = 0.3;  // seconds before the expectation is worth something
constexpr int kBarWidth = 30;

// 75 -> "01:15"
std::string clock_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  return fmt::format("{:02}:{:02}", whole / 60, whole % 60);
}

}  // namespace

Progress::Progress(std::string label, int64_t total, std::string unit, double level)
    : label_(std::move(label)),
      total_(static_cast<double>(total)),
      unit_(std::move(unit)),
      level_(level),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(Clock::now()) {}

Progress::~Progress() {
  if (terminal_ && shown_) std::fputs("\r\x1b[K", stderr);
}

void Progress::update(double done) {
  const double elapsed = seconds_since(start_);
  if (done <= 0 || done >= total_) return;
  const double part = work(done) / work(total_);
  if (terminal_) {
    const bool long_enough = elapsed > kJudgeAfter && elapsed / part > kShowFrom;
    if (!shown_ && !long_enough) return;
    if (shown_ && elapsed - last_ < kBarEvery) return;
    draw_bar(done, part, elapsed);
  } else {
    if (elapsed - last_ < (shown_ ? kLineEvery : kShowFrom)) return;
    print_line(part, elapsed);
  }
  shown_ = true;
  last_ = elapsed;
}

void Progress::draw_bar(double done, double part, double elapsed) const {
  const int full = static_cast<int>(part * kBarWidth);
  fmt::print(stderr, "\r\x1b[K{}: {:3.0f}%|{:#<{}}{: <{}}| {:.0f}/{:.0f} [{}<{}, {:.0f} {}/s]",
             label_, 100 * part, "", full, "", kBarWidth - full, done, total_, clock_text(elapsed),
             clock_text(elapsed / part - elapsed), done / elapsed, unit_);
  std::fflush(stderr);
}

void Progress::print_line(double part, double elapsed) const {
  fmt::print(stderr, "{}: {:.0f}% of the work for {:.0f} {}, {} gone, about {} to go\n", label_,
             100 * part, total_, unit_, clock_text(elapsed), clock_text(elapsed / part - elapsed));
}

}  // namespace tinylm
