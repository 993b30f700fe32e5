// One context used by several threads at once, over a parallel_for of std::thread and, where built
// with it, over OpenMP. Bits must not depend on threads. The thread sanitizer runs this program.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "small_calls.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace {

using dsa::small_calls::kOperations;
using dsa::small_calls::Operation;
using dsa::small_calls::Result;

// Enough work that kernels use several lanes.
constexpr dsa::small_calls::Sizes kSizes{64, 3000, 100};

struct Pool {
  std::atomic<int64_t> bodies{0};
};

void on_std_threads(void* user, int64_t count, dsa_parallel_body body, void* arg) {
  static_cast<Pool*>(user)->bodies += count;
  std::vector<std::thread> threads;
  for (int64_t i = 1; i < count; ++i) threads.emplace_back([=] { body(arg, i); });
  if (count > 0) body(arg, 0);
  for (std::thread& thread : threads) thread.join();
}

void backwards(void* user, int64_t count, dsa_parallel_body body, void* arg) {
  static_cast<Pool*>(user)->bodies += count;
  for (int64_t i = count - 1; i >= 0; --i) body(arg, i);
}

dsa_ctx* context(int32_t threads, dsa_parallel_for parallel_for, Pool* pool) {
  dsa_ctx_options options = {};
  options.struct_size = sizeof options;
  options.num_threads = threads;
  options.parallel_for = parallel_for;
  options.parallel_user = pool;
  dsa_ctx* ctx = nullptr;
  EXPECT_EQ(dsa_ctx_create(&options, &ctx), DSA_OK) << dsa_last_error();
  return ctx;
}

std::vector<Result> serial_results() {
  dsa_ctx* ctx = context(1, nullptr, nullptr);
  std::vector<Result> results;
  for (const Operation& operation : kOperations) {
    results.push_back(operation.run(ctx, DSA_BF16, kSizes));
    EXPECT_EQ(results.back().status, DSA_OK) << operation.name << ": " << results.back().error;
  }
  dsa_ctx_destroy(ctx);
  return results;
}

// Three callers share the context; each runs all operations, starting with another one.
void share(dsa_ctx* ctx) {
  const std::vector<Result> expected = serial_results();
  std::vector<std::string> wrong(3);
  std::vector<std::thread> callers;
  for (size_t caller = 0; caller < wrong.size(); ++caller) {
    callers.emplace_back([&, caller] {
      for (size_t i = 0; i < expected.size(); ++i) {
        const size_t at = (i + caller) % expected.size();
        const Result result = kOperations[at].run(ctx, DSA_BF16, kSizes);
        if (result.status != DSA_OK) wrong[caller] = result.error;
        if (result.words != expected[at].words) wrong[caller] = kOperations[at].name;
        // An error of one thread is not seen by the others.
        if (dsa_topk(ctx, nullptr, nullptr) == DSA_OK) wrong[caller] = "a NULL descriptor passed";
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const std::string& what : wrong) EXPECT_EQ(what, "");
}

TEST(Threads, StdThreadParallelFor) {
  Pool pool;
  dsa_ctx* ctx = context(4, on_std_threads, &pool);
  share(ctx);
  EXPECT_GT(pool.bodies, 0) << "no call was large enough for several lanes";
  dsa_ctx_destroy(ctx);
}

TEST(Threads, LanesInAnyOrder) {
  Pool pool;
  dsa_ctx* ctx = context(7, backwards, &pool);
  const std::vector<Result> expected = serial_results();
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(kOperations[i].run(ctx, DSA_BF16, kSizes).words, expected[i].words)
        << kOperations[i].name;
  }
  dsa_ctx_destroy(ctx);
}

TEST(Threads, PoolOfOneCall) {
  // dsa_exec.parallel_user goes before the context's.
  Pool pool, other;
  dsa_ctx* ctx = context(4, on_std_threads, &pool);
  const std::vector<float> numbers = dsa::small_calls::numbers(256 * 8192, 1000, 9);
  std::vector<int32_t> indices(256 * 64);
  dsa_topk_desc d = dsa_topk_desc_init();
  d.scores = dsa_tensor_2d(const_cast<float*>(numbers.data()), DSA_F32, 256, 8192);
  d.k = 64;
  d.indices = dsa_tensor_2d(indices.data(), DSA_I32, 256, 64);
  dsa_exec exec = {};
  exec.struct_size = sizeof exec;
  exec.parallel_user = &other;
  EXPECT_EQ(dsa_topk(ctx, &d, &exec), DSA_OK) << dsa_last_error();
  EXPECT_GT(other.bodies, 0);
  EXPECT_EQ(pool.bodies, 0);
  dsa_ctx_destroy(ctx);
}

TEST(Threads, TheLibrarysOwn) {
  dsa_ctx* ctx = context(4, nullptr, nullptr);
  share(ctx);
  dsa_ctx_destroy(ctx);
}

#if defined(_OPENMP)
std::vector<pid_t> team_of_four() {
  std::vector<pid_t> threads(4, 0);
#pragma omp parallel num_threads(4)
  threads[size_t(omp_get_thread_num())] = gettid();
  return threads;
}

// A call that has work for two lanes must not make the runtime end the other two threads: the next
// region of four, perhaps the host program's own, would have to start them again.
TEST(Threads, SmallCallsKeepTheTeam) {
  constexpr int64_t kRows = 2, kColumns = 60000, kSelected = 30000;  // too many to divide a row
  dsa_ctx* ctx = context(4, nullptr, nullptr);
  const std::vector<float> numbers = dsa::small_calls::numbers(kRows * kColumns, 1000, 9);
  std::vector<int32_t> indices(kRows * kSelected);
  dsa_topk_desc d = dsa_topk_desc_init();
  d.scores = dsa_tensor_2d(const_cast<float*>(numbers.data()), DSA_F32, kRows, kColumns);
  d.k = kSelected;
  d.indices = dsa_tensor_2d(indices.data(), DSA_I32, kRows, kSelected);
  const std::vector<pid_t> before = team_of_four();
  EXPECT_EQ(dsa_topk(ctx, &d, nullptr), DSA_OK) << dsa_last_error();
  EXPECT_EQ(team_of_four(), before);
  dsa_ctx_destroy(ctx);
}
#endif

}  // namespace
