#pragma once
// Progress of a long computation on stderr: a bar on a terminal, a line every few seconds
// elsewhere, nothing at all for what takes under two seconds.

#include <cstdint>
#include <string>

#include "stage_times.h"

namespace tinylm {

class Progress {
 public:
  // The i-th of `total` units is expected to cost `level` + i: attention over a growing context.
  Progress(std::string label, int64_t total, std::string unit, double level);
  ~Progress();
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;

  void update(double done);

 private:
  double work(double done) const { return done * (level_ + done / 2); }
  void draw_bar(double done, double part, double elapsed) const;
  void print_line(double part, double elapsed) const;

  std::string label_;
  double total_;
  std::string unit_;
  double level_;
  bool terminal_;
  bool shown_ = false;
  Clock::time_point start_;
  double last_ = 0;  // seconds from start_ to what was shown last
};

}  // namespace tinylm
