#pragma once
// What the workers count together, and the memory that the process has.

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

namespace engine {

int64_t resident_bytes();

class Report {
 public:
  explicit Report(int64_t steps) : steps_(steps) {}

  bool over() const { return failed_ || next_ >= steps_; }
  // The number of a step that was done.
  int64_t count_step();
  // The first thing that went wrong ends all workers.
  void fail(const std::string &what);

  void add_rows(int64_t rows) { rows_ += rows; }
  void add_finished() { ++finished_; }
  void add_check(double error);

  // Prints what was done; false when a check failed, or memory grew after the first tenth.
  bool conclude() const;

 private:
  int64_t steps_;
  std::atomic<int64_t> next_{0}, rows_{0}, finished_{0};
  std::atomic<int64_t> resident_after_tenth_{0};
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;
  int64_t most_resident_ = 0;
  int64_t checks_ = 0;
  double worst_ = 0;
  std::string failure_;
};

}  // namespace engine
