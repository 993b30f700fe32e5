#pragma once
// Where the seconds of a forward pass went.

#include <chrono>

#include "compute.h"

namespace tinylm {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct StageTimes {
  double matrices = 0;   // every W x
  double selection = 0;  // dsa_indexer_topk
  double attention = 0;  // dsa_sparse_attn, or dsa_forward, which selects too
};

// Adds the seconds of its life to one of them. What was enqueued before is not counted, what is
// enqueued meanwhile is.
class Timed {
 public:
  Timed(Compute &compute, double &total) : compute_(compute), total_(total) {
    compute_.wait();
    start_ = Clock::now();
  }
  // Does not throw: an error of the GPU is every later call's too.
  ~Timed() {
    try {
      compute_.wait();
    } catch (...) {
    }
    total_ += seconds_since(start_);
  }
  Timed(const Timed &) = delete;
  Timed &operator=(const Timed &) = delete;

 private:
  Compute &compute_;
  double &total_;
  Clock::time_point start_;
};

}  // namespace tinylm
