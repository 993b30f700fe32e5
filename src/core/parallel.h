// Runs the lanes of one call: the caller's parallel_for, OpenMP threads on chosen cores, or one
// after the other.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "dsa.h"

namespace dsa {

class Parallel {
 public:
  // parallel_for NULL: OpenMP (serial where built without it).
  Parallel(int32_t max_lanes, dsa_parallel_for parallel_for, void* parallel_user);

  int32_t max_lanes() const { return max_lanes_; }

  // Most lanes that help with a call of `ns` on one core: 1 or all. A parallel region costs 0.25 us
  // a thread of the context, whatever number of them has a lane (libgomp on 16 cores: 4.1 us), and
  // a thousand times that where other work has the cores: the example engine wrote 11 bytes/s
  // instead of 130 on two loaded cores when calls of 17 us had two lanes.
  int32_t lanes_for(double ns, double least_ns = 24000.0) const {
    const double region = 250.0 * (max_lanes_ + 1);
    return ns < least_ns || ns < 1.5 * region ? 1 : max_lanes_;
  }

  // body(arg, lane) for every lane in [0, lanes); serial in a parallel region or a forked child.
  void run(int32_t lanes, void* parallel_user, dsa_parallel_body body, void* arg) const;

  // Cores for the worker threads (a cpu_set_t); kept only when narrower than the process's own.
  void bind_workers_to(const void* cpu_set, size_t bytes);

 private:
  int32_t max_lanes_;
  dsa_parallel_for parallel_for_;
  void* parallel_user_;
  pid_t owner_;
  bool binds_ = false;
  alignas(8) unsigned char cpu_set_[128] = {};
};

}  // namespace dsa
