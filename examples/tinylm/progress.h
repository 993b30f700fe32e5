#pragma once
// Progress of a long computation on stderr: a bar on a terminal, a line every few seconds
// elsewhere, nothing at all for what takes under two seconds.

#include <cstdint>
#include <string>

#include "stage_times.h"

namespace tinylm {

class Progress {
 public:
  Progress(std::string label, int64_t total, std::string unit);
  ~Progress();
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;

  void update(double done);

 private:
  void draw_bar(double done, double elapsed) const;
  void print_line(double done, double elapsed) const;

  std::string label_;
  double total_;
  std::string unit_;
  bool terminal_;
  bool shown_ = false;
  Clock::time_point start_;
  double last_ = 0;  // seconds from start_ to what was shown last
};

}  // namespace tinylm
