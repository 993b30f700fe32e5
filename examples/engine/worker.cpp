#include "worker.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <thread>

namespace engine {
namespace {

constexpr int64_t kStepsBetweenChecks = 23;
// AMX rounds probabilities to bf16; the other tiers stay below 1e-5.
constexpr double kAllowedError = 0.02;

}  // namespace

Worker::Worker(int number, dsa_ctx *ctx, Cache &cache, const Limits &limits, Report &report)
    : cache_(cache),
      limits_(limits),
      report_(report),
      calls_(ctx, cache, limits),
      reference_(limits.longest),
      random_(static_cast<uint64_t>(number)),
      batch_(static_cast<size_t>(limits.batch)) {
  rows_.reserve(static_cast<size_t>(limits.step_rows));
  for (Request &request : batch_) request.tokens.reserve(static_cast<size_t>(limits.longest));
}

Worker::~Worker() {
  for (int r = 0; r < limits_.batch; ++r) {
    if (batch_[static_cast<size_t>(r)].active) release(r);
  }
}

void Worker::run() {
  try {
    while (!report_.over()) {
      admit();
      plan_rows();
      if (rows_.empty()) {
        std::this_thread::yield();  // other workers have all pages
        continue;
      }
      calls_.run();
      take_results(report_.count_step());
    }
  } catch (const std::exception &error) {
    report_.fail(error.what());
  }
}

// A request starts when there are pages for all that it can become: none is ever stopped half-way.
void Worker::admit() {
  for (int r = 0; r < limits_.batch; ++r) {
    Request &request = batch_[static_cast<size_t>(r)];
    if (request.active) continue;
    request.start(random_, limits_);
    const int index_pages = cache_.index_pool.pages_for(request.length);
    const int kv_pages = cache_.kv_pool.pages_for(request.length);
    calls_.clear_tables(r);
    if (!cache_.index_pool.take(index_pages, calls_.index_table(r))) {
      request.active = false;
    } else if (!cache_.kv_pool.take(kv_pages, calls_.kv_table(r))) {
      cache_.index_pool.give_back(index_pages, calls_.index_table(r));
      request.active = false;
    }
    if (!request.active) {
      calls_.clear_tables(r);
      return;
    }
  }
}

// Every generating request gets its row; prompts share what is left of the step.
void Worker::plan_rows() {
  rows_.clear();
  calls_.start();
  const auto add = [&](int r, int count) {
    Request &request = batch_[static_cast<size_t>(r)];
    for (; count > 0; --count) {
      calls_.add(r, request.tokens[static_cast<size_t>(request.done)], request.done);
      rows_.push_back({r, request.done++});
    }
  };
  int prompts_left = 0;
  for (int r = 0; r < limits_.batch; ++r) {
    const Request &request = batch_[static_cast<size_t>(r)];
    if (!request.active) continue;
    if (request.rows_ready() == 1) {
      add(r, 1);
    } else {
      ++prompts_left;
    }
  }
  for (int r = 0; r < limits_.batch && prompts_left > 0; ++r) {
    const Request &request = batch_[static_cast<size_t>(r)];
    if (!request.active || request.rows_ready() <= 1) continue;
    const int share = (limits_.step_rows - calls_.rows()) / prompts_left--;
    add(r, std::min(share, request.rows_ready()));
  }
}

void Worker::take_results(int64_t step) {
  const int rows = calls_.rows();
  report_.add_rows(rows);
  if (step % kStepsBetweenChecks == 0) {
    check(static_cast<int>(random_() % static_cast<uint64_t>(rows)));
  }
  for (int row = 0; row < rows; ++row) {
    const auto [r, position] = rows_[static_cast<size_t>(row)];
    Request &request = batch_[static_cast<size_t>(r)];
    if (position + 1 == request.length) {
      release(r);
      report_.add_finished();
    } else if (position + 1 == static_cast<int>(request.tokens.size())) {
      request.tokens.push_back(next_token(calls_.out(row)));
    }
  }
}

void Worker::release(int r) {
  Request &request = batch_[static_cast<size_t>(r)];
  cache_.index_pool.give_back(cache_.index_pool.pages_for(request.length), calls_.index_table(r));
  cache_.kv_pool.give_back(cache_.kv_pool.pages_for(request.length), calls_.kv_table(r));
  request.active = false;
}

void Worker::check(int row) {
  const auto [r, position] = rows_[static_cast<size_t>(row)];
  const Request &request = batch_[static_cast<size_t>(r)];
  const Verdict verdict = reference_.check(request.tokens, position, calls_.kv_table(r),
                                           calls_.slots(row), calls_.count(row), calls_.out(row));
  if (!verdict.selection) {
    throw std::runtime_error("position " + std::to_string(position) +
                             ": the selection is not the reference's");
  }
  if (!(verdict.error <= kAllowedError)) {
    throw std::runtime_error("position " + std::to_string(position) + ": the output is off by " +
                             std::to_string(verdict.error));
  }
  report_.add_check(verdict.error);
}

}  // namespace engine
