#pragma once
// Where the seconds of a forward pass went.

#include <chrono>

namespace tinylm {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct StageTimes {
  double matrices = 0;   // every W x
  double selection = 0;  // dsa_indexer_topk
  double attention = 0;  // dsa_sparse_attn
};

// Adds the seconds of its life to one of them.
class Timed {
 public:
  explicit Timed(double &total) : total_(total), start_(Clock::now()) {}
  ~Timed() { total_ += seconds_since(start_); }
  Timed(const Timed &) = delete;
  Timed &operator=(const Timed &) = delete;

 private:
  double &total_;
  Clock::time_point start_;
};

}  // namespace tinylm
