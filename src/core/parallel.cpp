#include "core/parallel.h"

#include <sched.h>
#include <unistd.h>

#include <cstring>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace dsa {

static_assert(sizeof(cpu_set_t) == 128);

Parallel::Parallel(int32_t max_lanes, dsa_parallel_for parallel_for, void* parallel_user)
    : max_lanes_(max_lanes < 1 ? 1 : max_lanes),
      parallel_for_(parallel_for),
      parallel_user_(parallel_user),
      owner_(getpid()) {}

void Parallel::bind_workers_to(const void* cpu_set, size_t bytes) {
  std::memcpy(cpu_set_, cpu_set, bytes < sizeof cpu_set_ ? bytes : sizeof cpu_set_);
  binds_ = true;
}

void Parallel::run(int32_t lanes, void* parallel_user, dsa_parallel_body body, void* arg) const {
  if (parallel_for_) {
    parallel_for_(parallel_user ? parallel_user : parallel_user_, lanes, body, arg);
    return;
  }
#if defined(_OPENMP)
  // A forked child has none of its parent's OpenMP threads; libgomp would wait for them for ever.
  if (max_lanes_ > 1 && !omp_in_parallel() && getpid() == owner_) {
    // Always all threads, though some may have no lane: libgomp ends those that a region leaves out
    // and makes new ones for the next that wants more (16 cores: 0.4 ms for a region of 16 after
    // one of 4, against 4 us), be it ours or the host program's own.
#pragma omp parallel num_threads(max_lanes_)
    if (omp_get_thread_num() < lanes) {
      // Workers go to the chosen cores for this region and back after it: they belong to the
      // OpenMP runtime, which the host program shares. The caller's own thread is never moved.
      cpu_set_t before;
      const bool bind =
          binds_ && omp_get_thread_num() != 0 && sched_getaffinity(0, sizeof before, &before) == 0;
      if (bind) sched_setaffinity(0, sizeof cpu_set_, reinterpret_cast<const cpu_set_t*>(cpu_set_));
      // The runtime may give fewer threads than asked for.
      const int32_t team = omp_get_num_threads();
      for (int32_t lane = omp_get_thread_num(); lane < lanes; lane += team) body(arg, lane);
      if (bind) sched_setaffinity(0, sizeof before, &before);
    }
    return;
  }
#endif
  for (int32_t lane = 0; lane < lanes; ++lane) body(arg, lane);
}

}  // namespace dsa
