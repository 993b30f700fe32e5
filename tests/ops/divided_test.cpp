// Large random calls: kernels divide them between threads. The result of four threads is the
// oracle's, and the same bits come from one thread, from the caller's own threads, and from tasks
// that run last to first. The thread sanitizer runs this program.
#include <gtest/gtest.h>

#include <thread>

#include "oracle/attention.h"
#include "oracle/indexer.h"
#include "oracle/indexer_topk.h"
#include "oracle/topk.h"
#include "support/every_kernel.h"
#include "support/poison.h"

using namespace support;

namespace {

// Counts what was handed out, and runs it last to first.
void backwards(void* most, int64_t count, dsa_parallel_body body, void* arg) {
  int64_t& seen = *static_cast<int64_t*>(most);
  seen = std::max(seen, count);
  for (int64_t i = count - 1; i >= 0; --i) body(arg, i);
}

void on_std_threads(void*, int64_t count, dsa_parallel_body body, void* arg) {
  std::vector<std::thread> threads;
  for (int64_t i = 1; i < count; ++i) threads.emplace_back([=] { body(arg, i); });
  if (count > 0) body(arg, 0);
  for (std::thread& thread : threads) thread.join();
}

Context make_context_over(dsa_parallel_for parallel_for, void* user, const std::string& glob) {
  dsa_ctx_options options{};
  options.num_threads = 3;
  options.parallel_for = parallel_for;
  options.parallel_user = user;
  return make_context(options, glob);
}

template <class Desc>
bool one_answer(const Desc& d) {
  if constexpr (requires { d.ties; }) return d.ties != DSA_TIES_ANY;
  return true;
}

template <class Draw, class Check>
void judge_divided(int32_t operation, Draw&& draw, Check&& check) {
  const SeedRange range(40);
  for (const Kernel& kernel : kernels_of(operation)) {
    if (!kernel.usable) continue;
    const Context four = make_context(kernel.name, 4);
    int64_t most = 0;
    const Context reversed = make_context_over(backwards, &most, kernel.name);
    const Context std_threads = make_context_over(on_std_threads, nullptr, kernel.name);
    uint64_t divided = 0, ran = 0;
    const double end = now() + range.seconds * 0.25;
    // A short run goes on until a call was divided: only some are large enough.
    const auto goes_on = [&](uint64_t seeds) {
      if (kernel.on_cpu() && divided == 0) return seeds < 40;
      return seeds < range.count && now() < end;
    };
    for (uint64_t seeds = 0; goes_on(seeds); ++seeds) {
      const uint64_t seed = range.first + seeds;
      const auto c = draw(seed);
      if (supports(kernel.ctx.get(), c->d) != DSA_OK) continue;
      const std::string context = kernel.name + " seed " + std::to_string(seed) + describe(c->d);
      ASSERT_EQ(run(four.get(), c->d), DSA_OK) << context << dsa_last_error();
      ASSERT_EQ(check(c->d, kernel), "") << context;
      ASSERT_EQ(c->arena.check_gaps(), "") << context;
      ++ran;
      if (!one_answer(c->d)) continue;
      const std::vector<unsigned char> first = c->arena.output_bytes();
      c->arena.reset_outputs();
      ASSERT_EQ(run(kernel.ctx.get(), c->d), DSA_OK) << context << dsa_last_error();
      ASSERT_TRUE(c->arena.output_bytes() == first) << context << "\none thread";
      c->arena.reset_outputs();
      ASSERT_EQ(run(std_threads.get(), c->d), DSA_OK) << context << dsa_last_error();
      ASSERT_TRUE(c->arena.output_bytes() == first) << context << "\nthe caller's threads";
      c->arena.reset_outputs();
      most = 0;
      ASSERT_EQ(run(reversed.get(), c->d), DSA_OK) << context << dsa_last_error();
      ASSERT_TRUE(c->arena.output_bytes() == first) << context << "\ntasks backwards";
      divided += most > 1 ? 1 : 0;
    }
    std::printf("[  JUDGED  ] %s: %llu calls, %llu divided\n", kernel.name.c_str(),
                static_cast<unsigned long long>(ran), static_cast<unsigned long long>(divided));
    if (kernel.on_cpu()) {
      ASSERT_GT(divided, 0u) << kernel.name;
    }
  }
}

TEST(Divided, Topk) {
  judge_divided(DSA_OP_TOPK, draw_large_topk,
                [](const dsa_topk_desc& d, const Kernel&) { return oracle::check_topk(d); });
}

TEST(Divided, Indexer) {
  judge_divided(
      DSA_OP_INDEXER,
      [](uint64_t seed) {
        auto c = draw_large_indexer(seed);
        c->d.flags &= ~uint64_t(DSA_KEEP_INVISIBLE);
        poison_unread(c->d);
        return c;
      },
      [](const dsa_indexer_desc& d, const Kernel& kernel) {
        return oracle::check_indexer(d, 0, kernel.product_unit(d));
      });
}

TEST(Divided, IndexerTopk) {
  judge_divided(
      DSA_OP_INDEXER_TOPK,
      [](uint64_t seed) {
        auto c = draw_large_indexer_topk(seed);
        poison_unread(c->d);
        return c;
      },
      [](const dsa_indexer_topk_desc& d, const Kernel& kernel) {
        return oracle::check_indexer_topk(d, kernel.product_unit(d));
      });
}

TEST(Divided, SparseAttn) {
  judge_divided(
      DSA_OP_SPARSE_ATTN,
      [](uint64_t seed) {
        auto c = draw_large_sparse_attn(seed);
        poison_unread(c->d);
        return c;
      },
      [](const dsa_sparse_attn_desc& d, const Kernel& kernel) {
        return oracle::check_sparse_attn(d, kernel.p_unit());
      });
}

}  // namespace
