#pragma once
// One thread of the engine: keeps a batch of requests running, each with rows in every step, and
// fills a place as soon as a request leaves it.

#include <cstdint>
#include <random>
#include <vector>

#include "calls.h"
#include "reference.h"
#include "report.h"
#include "request.h"

namespace engine {

class Worker {
 public:
  Worker(int number, dsa_ctx *ctx, Cache &cache, const Limits &limits, Report &report);

  ~Worker();
  Worker(const Worker &) = delete;
  Worker &operator=(const Worker &) = delete;

  // Until the report says that it was enough.
  void run();

 private:
  struct Row {
    int request;
    int position;
  };

  void admit();
  void plan_rows();
  void take_results(int64_t step);
  void release(int r);
  void check(int row);

  Cache &cache_;
  Limits limits_;
  Report &report_;
  Calls calls_;
  Reference reference_;
  std::mt19937_64 random_;
  std::vector<Request> batch_;
  std::vector<Row> rows_;
};

}  // namespace engine
