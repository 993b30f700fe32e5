// Progress on stderr: one line that is rewritten on a terminal, else a line every few seconds.
#pragma once

#include <cstdint>
#include <string>

namespace bench {

class Progress {
 public:
  Progress(int64_t total, bool quiet);
  ~Progress();
  void step(const std::string& what);  // the next piece of work begins
  void clear();                        // before something else is printed on the terminal

 private:
  int64_t total_, started_ = 0;
  bool quiet_, terminal_, shown_ = false;
  double begin_, last_;
};

}  // namespace bench
