// Messages for people, only where DSA_LOG or the caller asked for them.
#pragma once

#include "dsa.h"

namespace dsa {

class Log {
 public:
  // `topics`: the value of DSA_LOG, a comma list.
  Log(dsa_log callback, void* user, const char* topics);

  bool dispatch() const { return dispatch_; }
  bool context() const { return context_; }
  bool stages() const { return stages_ || stages_alone_; }
  bool stages_alone() const { return stages_alone_; }
  // level as dsa_log.
  void write(int32_t level, const char* format, ...) const __attribute__((format(printf, 3, 4)));

 private:
  dsa_log callback_;
  void* user_;
  bool dispatch_;
  bool context_;
  bool stages_;
  bool stages_alone_;
};

}  // namespace dsa
