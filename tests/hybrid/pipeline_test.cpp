// What a hybrid call promises beside its result: bounded memory made once, turns, captures, and an
// orderly end whichever step fails.
#include <atomic>
#include <cstring>
#include <thread>

#include "fake_context.h"
#include "support/every_kernel.h"

using namespace support;

namespace {

constexpr int32_t kHybrids[] = {DSA_ROUTE_HYBRID, DSA_ROUTE_HYBRID_PREFILTER};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The first calls from `seed` on that hybrid routes take, with outputs and more rows than a chunk.
std::unique_ptr<ForwardCase> draw_taken(dsa_ctx* ctx, uint64_t& seed) {
  for (;; ++seed) {
    auto c = draw_forward(seed, 60);
    const dsa_indexer_topk_desc select = said_on_device(c->select);
    const dsa_sparse_attn_desc attend = said_on_device(c->attend);
    dsa_forward_desc d = c->desc(DSA_ROUTE_HYBRID);
    d.select = &select;
    d.attend = &attend;
    if (c->select.q.shape[0] > 10 && dsa_supports(ctx, &d) == DSA_OK) {
      ++seed;
      return c;
    }
  }
}

TEST(HybridPipeline, RingIsMadeOnceAndBounded) {
  const int64_t before = fake().pinned_bytes(), pins = fake().pins();
  {
    const Context ctx = fake_context(100000);
    EXPECT_EQ(fake().pins(), pins);
    uint64_t seed = 1;
    for (int i = 0; i < 6; ++i) {
      const auto c = draw_taken(ctx.get(), seed);
      ASSERT_EQ(judge_forward(ctx.get(), *c, kHybrids[i % 2], on_fake()), "") << describe(*c);
    }
    EXPECT_EQ(fake().pins(), pins + 1);
    EXPECT_LE(fake().pinned_bytes() - before, 100000);
  }
  const Context ready = fake_context(0, DSA_CTX_HYBRID_READY);
  EXPECT_EQ(fake().pins(), pins + 2);
  EXPECT_LE(fake().pinned_bytes() - before, int64_t{256} << 20);
}

TEST(HybridPipeline, Refusals) {
  const Context ctx = fake_context(16384);
  uint64_t seed = 1;
  auto c = draw_taken(ctx.get(), seed);
  const auto expect = [&](dsa_ctx* in, int32_t route, dsa_status status, const std::string& text) {
    EXPECT_STREQ(dsa_status_name(run_forward(in, *c, route, on_fake())), dsa_status_name(status));
    EXPECT_TRUE(status == DSA_OK || has(dsa_last_error(), text)) << dsa_last_error();
  };
  const Context cpu = make_context();
  const dsa_forward_desc on_cpu = c->desc(DSA_ROUTE_HYBRID);
  EXPECT_EQ(dsa_forward(cpu.get(), &on_cpu, nullptr), DSA_ERROR_UNSUPPORTED);
  EXPECT_TRUE(has(dsa_last_error(), "forward.route is 3 (hybrid): the context has no CUDA device"));
  const Context no_cpu = fake_context(0, 0, 2, "cuda.*");
  expect(no_cpu.get(), DSA_ROUTE_HYBRID, DSA_ERROR_UNSUPPORTED, "on the CPU: no kernel takes");
  expect(no_cpu.get(), DSA_ROUTE_AUTO, DSA_OK, "");
  const Context little = fake_context(1024);
  expect(little.get(), DSA_ROUTE_HYBRID, DSA_ERROR_UNSUPPORTED, "(pinned_bytes)");
  expect(little.get(), DSA_ROUTE_AUTO, DSA_OK, "");
  c->select.order = DSA_ORDER_SCORE;
  expect(ctx.get(), DSA_ROUTE_HYBRID, DSA_ERROR_UNSUPPORTED, "select.order is 1");
}

TEST(HybridPipeline, CapturesAreRefused) {
  const Context ctx = fake_context();
  uint64_t seed = 1;
  const auto c = draw_taken(ctx.get(), seed);
  fake().set_capturing(true);
  for (const int32_t route : kHybrids) {
    EXPECT_EQ(run_forward(ctx.get(), *c, route, on_fake()), DSA_ERROR_CAPTURE);
    EXPECT_TRUE(has(dsa_last_error(), "it cannot be captured")) << dsa_last_error();
  }
  EXPECT_EQ(run_forward(ctx.get(), *c, DSA_ROUTE_AUTO, on_fake()), DSA_OK) << dsa_last_error();
  fake().set_capturing(false);
}

// Every call to the device fails once. Outputs of a row are then as they were, or complete; the
// stream, the ring and the context go on working, and nothing is left behind.
TEST(HybridPipeline, AnyStepMayFail) {
  const int64_t live = fake().live();
  {
    const Context ctx = fake_context(16384);
    uint64_t seed = 1;
    for (int i = 0; i < 4; ++i) {
      const int32_t route = kHybrids[i % 2];
      const auto c = draw_taken(ctx.get(), seed);
      ASSERT_EQ(judge_forward(ctx.get(), *c, route, on_fake()), "") << describe(*c);
      fake().fail_at(0);
      ASSERT_EQ(run_forward(ctx.get(), *c, route, on_fake()), DSA_OK);
      ASSERT_GT(fake().calls(), 10);
      const std::vector<unsigned char> right = c->arena.output_bytes();
      // How often it asks what has happened is the threads' matter: until no call is the one.
      for (int64_t n = 1;; ++n) {
        c->arena.reset_outputs();
        fake().fail_at(n);
        const dsa_status status = run_forward(ctx.get(), *c, route, on_fake());
        const bool failed = fake().calls() >= n;
        fake().fail_at(0);
        if (!failed) {
          ASSERT_EQ(status, DSA_OK) << dsa_last_error();
          break;
        }
        ASSERT_EQ(status, DSA_ERROR_DEVICE) << "call " << n;
        ASSERT_TRUE(has(dsa_last_error(), "told to fail")) << dsa_last_error();
        const std::vector<unsigned char> now = c->arena.output_bytes();
        for (size_t b = 0; b < now.size(); ++b) {
          ASSERT_TRUE(now[b] == right[b] || now[b] == Arena::kUntouched) << "call " << n;
        }
        if (n % 7 != 0) continue;
        ASSERT_EQ(judge_forward(ctx.get(), *c, route, on_fake()), "") << n;
      }
    }
    // Also those that make the ring: the first call of a context.
    const auto c = draw_taken(ctx.get(), seed);
    for (int64_t n = 1; n < 20; ++n) {
      const Context fresh = fake_context(16384);
      fake().fail_at(n);
      EXPECT_EQ(run_forward(fresh.get(), *c, DSA_ROUTE_HYBRID, on_fake()), DSA_ERROR_DEVICE) << n;
      fake().fail_at(0);
      ASSERT_EQ(judge_forward(fresh.get(), *c, DSA_ROUTE_HYBRID, on_fake()), "") << n;
    }
  }
  fake().finish();
  EXPECT_EQ(fake().live(), live);
}

// A workspace of the size asked for is enough, and all that is used of the device's memory.
TEST(HybridPipeline, WorkspaceIsEnough) {
  const Context ctx = fake_context(16384);
  uint64_t seed = 1;
  for (int i = 0; i < 6; ++i) {
    const auto c = draw_taken(ctx.get(), seed);
    const dsa_indexer_topk_desc select = said_on_device(c->select);
    const dsa_sparse_attn_desc attend = said_on_device(c->attend);
    dsa_forward_desc d = c->desc(kHybrids[i % 2]);
    d.select = &select;
    d.attend = &attend;
    uint64_t bytes = 0;
    ASSERT_EQ(dsa_workspace_size(ctx.get(), &d, &bytes), DSA_OK);
    constexpr uint64_t kGuard = 4096;
    std::vector<char> memory(bytes + 256 + kGuard, char(0x77));
    dsa_exec exec{};
    exec.struct_size = sizeof exec;
    exec.workspace = memory.data() + (256 - reinterpret_cast<uintptr_t>(memory.data()) % 256) % 256;
    exec.workspace_size = bytes;
    ASSERT_EQ(judge_forward(ctx.get(), *c, d.route, on_fake(), &exec), "") << describe(*c);
    const char* const end = static_cast<char*>(exec.workspace) + bytes;
    for (uint64_t b = 0; b < kGuard; ++b) ASSERT_EQ(end[b], char(0x77)) << b;
    d.memory_limit = bytes - 1;
    EXPECT_EQ(dsa_forward(ctx.get(), &d, &exec), DSA_ERROR_UNSUPPORTED);
    EXPECT_TRUE(has(dsa_last_error(), "memory_limit is " + std::to_string(bytes - 1)));
  }
}

TEST(HybridPipeline, ThreadsTakeTurns) {
  const Context ctx = fake_context(16384, 0, 1);
  std::atomic<int> wrong{0};
  const auto work = [&](uint64_t seed) {
    for (int i = 0; i < 8; ++i) {
      const auto c = draw_taken(ctx.get(), seed);
      if (!judge_forward(ctx.get(), *c, kHybrids[i % 2], on_fake()).empty()) ++wrong;
    }
  };
  std::thread other(work, 1000);
  work(2000);
  other.join();
  EXPECT_EQ(wrong, 0);
}

// Threads of the caller's that come late or not at all: lanes one after the other, in any order.
TEST(HybridPipeline, LanesInAnyOrder) {
  const dsa_parallel_for orders[] = {[](void*, int64_t count, dsa_parallel_body body, void* arg) {
                                       for (int64_t lane = 0; lane < count; ++lane) body(arg, lane);
                                     },
                                     [](void*, int64_t count, dsa_parallel_body body, void* arg) {
                                       for (int64_t lane = count; lane-- > 0;) body(arg, lane);
                                     },
                                     // The one that would drive comes last, while others are at it.
                                     [](void*, int64_t count, dsa_parallel_body body, void* arg) {
                                       std::vector<std::thread> threads;
                                       for (int64_t lane = 1; lane < count; ++lane)
                                         threads.emplace_back(body, arg, lane);
                                       for (std::thread& thread : threads) thread.join();
                                       body(arg, 0);
                                     }};
  for (const dsa_parallel_for order : orders) {
    dsa_ctx_options options{};
    options.struct_size = sizeof options;
    options.device = DSA_DEVICE_CUDA;
    options.module_path = FAKE;
    options.num_threads = 5;
    options.pinned_bytes = 16384;
    options.parallel_for = order;
    dsa_ctx* raw = nullptr;
    ASSERT_EQ(dsa_ctx_create(&options, &raw), DSA_OK) << dsa_last_error();
    const Context ctx(raw);
    uint64_t seed = 1;
    for (int i = 0; i < 6; ++i) {
      const auto c = draw_taken(ctx.get(), seed);
      ASSERT_EQ(judge_forward(ctx.get(), *c, kHybrids[i % 2], on_fake()), "") << describe(*c);
    }
  }
}

// DSA_LOG=stages: each stage of each chunk once, chunks of all rows; stages_alone: one after the
// other.
void expect_lines(const char* topic) {
  std::vector<std::string> lines;
  dsa_ctx_options options{};
  options.struct_size = sizeof options;
  options.device = DSA_DEVICE_CUDA;
  options.module_path = FAKE;
  options.pinned_bytes = 16384;
  options.log_user = &lines;
  options.log = [](void* user, int32_t, const char* text) {
    static_cast<std::vector<std::string>*>(user)->push_back(text);
  };
  setenv("DSA_LOG", topic, 1);
  dsa_ctx* raw = nullptr;
  ASSERT_EQ(dsa_ctx_create(&options, &raw), DSA_OK) << dsa_last_error();
  unsetenv("DSA_LOG");
  const Context ctx(raw);
  uint64_t seed = 1;
  const auto c = draw_taken(ctx.get(), seed);
  ASSERT_EQ(judge_forward(ctx.get(), *c, DSA_ROUTE_HYBRID, on_fake()), "");
  ASSERT_FALSE(lines.empty());
  long shipped = 0;
  ASSERT_EQ(std::sscanf(lines.back().c_str(), "stages: hybrid shipped %ld bytes", &shipped), 1)
      << lines.back();
  EXPECT_GT(shipped, 0);
  lines.pop_back();
  ASSERT_EQ(lines.size() % 5, 0u);
  static constexpr const char* kStages[] = {"score", "copy", "select", "cut", "attend"};
  const bool alone = std::string(topic) == "stages_alone";
  long next = 0;
  double selected = 0;  // when the last chunk's cuts were found
  for (size_t i = 0; i < lines.size(); ++i) {
    long chunk, first, end;
    char stage[16];
    double from, to;
    ASSERT_EQ(std::sscanf(lines[i].c_str(), "stages: hybrid chunk %ld rows %ld..%ld %15s %lf %lf",
                          &chunk, &first, &end, stage, &from, &to),
              6)
        << lines[i];
    EXPECT_EQ(chunk, long(i / 5));
    EXPECT_STREQ(stage, kStages[i % 5]);
    EXPECT_EQ(first, next);
    EXPECT_LE(from, to);
    if (i % 5 == 2) {
      EXPECT_LE(selected, from);
      selected = to;
    }
    // The fake device's clock counts what it ran: nothing else ran meanwhile.
    if (alone && i % 5 < 2) {
      EXPECT_LE(to - from, 3) << lines[i];
    }
    if (i % 5 == 4) next = end;
  }
}
TEST(HybridPipeline, SaysWhatItDidWhen) { expect_lines("stages"); }
TEST(HybridPipeline, SaysWhatEachStageTakesAlone) { expect_lines("stages_alone"); }

}  // namespace
