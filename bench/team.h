// Threads that start together, one on each core that the library chose.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace bench {

class Team {
 public:
  // Thread i is bound to cores[i] when there are as many cores as threads; else none is bound.
  Team(int threads, const std::vector<int>& cores);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return int(threads_.size()); }
  // Runs f(thread) on every thread at once; returns when all are done.
  void run(const std::function<void(int)>& f);

 private:
  void work(int thread, int core);

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(int)>* body_ = nullptr;
  int64_t generation_ = 0;
  int working_ = 0;
  bool stop_ = false;
  std::atomic<int> ready_ = 0;
  std::vector<std::thread> threads_;
};

// f(begin, end) for [0, n) in pieces of at most `piece`, on as many threads as the process may use.
void for_pieces(int64_t n, int64_t piece, const std::function<void(int64_t, int64_t)>& f);

}  // namespace bench
