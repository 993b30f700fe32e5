#include "team.h"

#include <sched.h>

#include <algorithm>

namespace bench {

Team::Team(int threads, const std::vector<int>& cores) {
  threads = std::max(threads, 1);
  const bool bind = cores.size() == size_t(threads);
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this, i, core = bind ? cores[size_t(i)] : -1] { work(i, core); });
  }
}

Team::~Team() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Team::run(const std::function<void(int)>& f) {
  std::unique_lock lock(mutex_);
  body_ = &f;
  ready_ = 0;
  working_ = size();
  ++generation_;
  wake_.notify_all();
  done_.wait(lock, [this] { return working_ == 0; });
}

void Team::work(int thread, int core) {
  if (core >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    // A core that the process may not use leaves the thread where it is.
    sched_setaffinity(0, sizeof set, &set);
  }
  int64_t seen = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stop_ || generation_ != seen; });
    if (stop_) return;
    seen = generation_;
    lock.unlock();
    // All start when the last one is awake.
    ready_.fetch_add(1);
    while (ready_.load(std::memory_order_acquire) < size()) std::this_thread::yield();
    (*body_)(thread);
    lock.lock();
    if (--working_ == 0) done_.notify_one();
  }
}

void for_pieces(int64_t n, int64_t piece, const std::function<void(int64_t, int64_t)>& f) {
  std::atomic<int64_t> next = 0;
  const auto take = [&] {
    for (;;) {
      const int64_t begin = next.fetch_add(piece);
      if (begin >= n) return;
      f(begin, std::min(begin + piece, n));
    }
  };
  cpu_set_t set;
  const int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  const int64_t pieces = (n + piece - 1) / piece;
  std::vector<std::thread> helpers;
  for (int64_t i = 1; i < std::min<int64_t>(cpus, pieces); ++i) helpers.emplace_back(take);
  take();
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace bench
