#include "report.h"

#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <fstream>

namespace engine {
namespace {

constexpr int64_t kAllowedGrowth = 1 << 20;
constexpr double kMiB = 1 << 20;

}  // namespace

int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

int64_t Report::count_step() {
  const int64_t step = next_++;
  if (step == steps_ / 10) resident_after_tenth_ = resident_bytes();
  // The most of a hundred looks: what is taken and given back counts, too.
  if (step > steps_ / 10 && step % std::max<int64_t>(steps_ / 100, 1) == 0) {
    const int64_t now = resident_bytes();
    const std::lock_guard lock(mutex_);
    most_resident_ = std::max(most_resident_, now);
  }
  return step;
}

void Report::fail(const std::string &what) {
  const std::lock_guard lock(mutex_);
  if (failure_.empty()) failure_ = what;
  failed_ = true;
}

void Report::add_check(double error) {
  const std::lock_guard lock(mutex_);
  ++checks_;
  worst_ = std::max(worst_, error);
}

bool Report::conclude() const {
  const int64_t before = resident_after_tenth_, after = most_resident_;
  std::printf("%" PRId64 " steps, %" PRId64 " rows, %" PRId64 " requests finished\n", next_.load(),
              rows_.load(), finished_.load());
  if (!failure_.empty()) {
    std::printf("failed: %s\n", failure_.c_str());
    return false;
  }
  std::printf("%" PRId64 " rows compared with the dense reference, largest error %.1e\n", checks_,
              worst_);
  std::printf("resident: %.2f MiB after a tenth, %.2f MiB at most later, grown by %.2f MiB\n",
              static_cast<double>(before) / kMiB, static_cast<double>(after) / kMiB,
              static_cast<double>(after - before) / kMiB);
  if (checks_ == 0 || finished_ == 0) {
    std::puts("failed: too few steps to check a row and finish a request");
    return false;
  }
  if (after - before > kAllowedGrowth) {
    std::puts("failed: memory grew by more than 1 MiB");
    return false;
  }
  return true;
}

}  // namespace engine
