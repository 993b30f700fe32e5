// Calls whose tensors lie on the other side: the same results as on their own, nothing else
// written, and an orderly end whichever step fails. And what `auto` makes of both sides.
#include <fstream>

#include "fake_context.h"
#include "support/every_kernel.h"

using namespace support;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Variable() { unsetenv(name_); }

 private:
  const char* name_;
};

// The fake device computes as the scalar tier does: both sides' scores have the same bits.
Context scalar_context(uint64_t pinned_bytes = 0) {
  const Variable isa("DSA_CPU_ISA", "scalar");
  return fake_context(pinned_bytes);
}

struct Setting {
  int32_t route;
  bool on_device;  // where the tensors lie
};

class Staging : public testing::TestWithParam<Setting> {};

TEST_P(Staging, GivesTheSame) {
  const auto [route, on_device] = GetParam();
  const Context ctx = scalar_context(16384);
  const SeedRange range(300);
  const double end = now() + 5;
  int ran = 0, refused = 0;
  for (uint64_t seed = range.first; seed < range.first + range.count && now() < end; ++seed) {
    const auto c = draw_forward(seed, seed % 4 == 0 ? 60 : 8);
    const std::string wrong =
        judge_forward(ctx.get(), *c, route, on_device ? on_fake() : Where{Where::kHost, {}});
    if (has(wrong, "select.order is 1") || has(wrong, "(pinned_bytes)")) {
      ++refused;
      continue;
    }
    ASSERT_EQ(wrong, "") << describe(*c);
    ++ran;
  }
  std::printf("[ COMPARED ] route %d: %d calls, %d refused\n", route, ran, refused);
  EXPECT_GT(ran, refused);
}

INSTANTIATE_TEST_SUITE_P(
    Forward, Staging,
    testing::Values(Setting{DSA_ROUTE_GPU, false}, Setting{DSA_ROUTE_HYBRID, false},
                    Setting{DSA_ROUTE_HYBRID_PREFILTER, false}, Setting{DSA_ROUTE_CPU, true},
                    Setting{DSA_ROUTE_AUTO, false}, Setting{DSA_ROUTE_AUTO, true}));

TEST(StagedCall, FinishedOnReturn) {
  const Context ctx = scalar_context();
  const auto c = draw_forward(3, 20);
  ASSERT_EQ(judge_forward(ctx.get(), *c, DSA_ROUTE_GPU, {Where::kHost, {}}), "");
  const std::vector<unsigned char> right = c->arena.output_bytes();
  c->arena.reset_outputs();
  const dsa_forward_desc d = c->desc(DSA_ROUTE_GPU);
  ASSERT_EQ(dsa_forward(ctx.get(), &d, nullptr), DSA_OK) << dsa_last_error();
  EXPECT_EQ(c->arena.output_bytes(), right);  // without a wait for the lazy device
}

TEST(StagedCall, AnyStepMayFail) {
  fake().finish();  // what tests before left to the lazy device
  const int64_t live = fake().live();
  {
    const Context ctx = scalar_context();
    for (const bool on_device : {false, true}) {
      const int32_t route = on_device ? DSA_ROUTE_CPU : DSA_ROUTE_GPU;
      const Where where = on_device ? on_fake() : Where{Where::kHost, {}};
      const auto c = draw_forward(11, 8);
      ASSERT_EQ(judge_forward(ctx.get(), *c, route, where), "") << describe(*c);
      const std::vector<unsigned char> right = c->arena.output_bytes();
      fake().finish();
      const int64_t live_between = fake().live();
      fake().fail_at(0);
      ASSERT_EQ(run_forward(ctx.get(), *c, route, where), DSA_OK);
      const int64_t calls = fake().calls();
      ASSERT_GT(calls, 5);
      for (int64_t n = 1; n <= calls; ++n) {
        c->arena.reset_outputs();
        fake().fail_at(n);
        const dsa_status status = run_forward(ctx.get(), *c, route, where);
        fake().fail_at(0);
        ASSERT_EQ(status, DSA_ERROR_DEVICE) << "call " << n << " of " << calls;
        const std::vector<unsigned char> now = c->arena.output_bytes();
        for (size_t b = 0; b < now.size(); ++b) {
          ASSERT_TRUE(now[b] == right[b] || now[b] == Arena::kUntouched) << "call " << n;
        }
      }
      fake().finish();
      EXPECT_EQ(fake().live(), live_between);
      ASSERT_EQ(judge_forward(ctx.get(), *c, route, where), "");
    }
  }
  fake().finish();
  EXPECT_EQ(fake().live(), live);
}

TEST(StagedCall, WorkspaceLimitAndCapture) {
  const Context ctx = scalar_context();
  const auto c = draw_forward(3, 20);
  dsa_forward_desc d = c->desc(DSA_ROUTE_GPU);
  uint64_t bytes = 99;
  ASSERT_EQ(dsa_workspace_size(ctx.get(), &d, &bytes), DSA_OK) << dsa_last_error();
  EXPECT_EQ(bytes, 0u);
  d.memory_limit = 1;
  EXPECT_EQ(dsa_supports(ctx.get(), &d), DSA_ERROR_UNSUPPORTED);
  EXPECT_TRUE(has(dsa_last_error(), "bytes of device memory, memory_limit is 1"))
      << dsa_last_error();
  d.route = DSA_ROUTE_CPU;  // takes none
  EXPECT_EQ(dsa_supports(ctx.get(), &d), DSA_OK) << dsa_last_error();
  d.route = DSA_ROUTE_AUTO;
  EXPECT_EQ(dsa_supports(ctx.get(), &d), DSA_OK) << dsa_last_error();

  fake().set_capturing(true);
  EXPECT_EQ(run_forward(ctx.get(), *c, DSA_ROUTE_CPU, on_fake()), DSA_ERROR_CAPTURE);
  EXPECT_TRUE(has(dsa_last_error(), "forward.route is 2 (cpu): it cannot be captured"))
      << dsa_last_error();
  fake().set_capturing(false);
}

// A file that makes one side of the machine look slow decides, and so does a busy GPU; the same
// call takes the same route every time.
class Auto : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "auto-XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  void TearDown() override {
    std::remove(file().c_str());
    rmdir(folder_.c_str());
  }
  std::string file() const { return folder_ + "/tune.txt"; }

  // A context whose file was written by dsa_tune and then changed by hand, as people may.
  Context context_with(const std::string& constant, const std::string& value) {
    {
      const Variable path("DSA_TUNE_FILE", file().c_str());
      const Context ctx = scalar_context();
      EXPECT_EQ(dsa_tune(ctx.get(), nullptr), DSA_OK) << dsa_last_error();
    }
    std::ifstream in(file());
    std::string text, line;
    int changed = 0;
    while (std::getline(in, line)) {
      if (line.rfind(constant + " = ", 0) == 0) {
        line = constant + " = " + value;
        ++changed;
      }
      text += line + "\n";
    }
    EXPECT_EQ(changed, 1) << constant << " in\n" << text;
    std::ofstream(file()) << text;
    const Variable path("DSA_TUNE_FILE", file().c_str());
    return scalar_context();
  }

  static std::string route_of(dsa_ctx* ctx, const dsa_forward_desc& d,
                              std::vector<std::string>* others = nullptr) {
    dsa_plan* plan = nullptr;
    EXPECT_EQ(dsa_plan_create(ctx, &d, &plan), DSA_OK) << dsa_last_error();
    const std::string name = dsa_plan_kernel(plan);
    for (int32_t i = 0; others && dsa_plan_refused(plan, i); ++i) {
      others->push_back(dsa_plan_refused(plan, i));
    }
    dsa_plan_destroy(plan);
    return name;
  }

 private:
  std::string folder_;
};

TEST_F(Auto, TheFileDecides) {
  const auto c = draw_forward(3, 20);
  dsa_forward_desc d = c->desc(DSA_ROUTE_AUTO);
  {
    const Context slow_cpu = context_with("cpu.call", "1000");
    std::vector<std::string> others;
    // Which of the others is the fastest is the machine's to say.
    const std::string route = route_of(slow_cpu.get(), d, &others);
    EXPECT_NE(route, "forward.cpu");
    for (int i = 0; i < 20; ++i) EXPECT_EQ(route_of(slow_cpu.get(), d), route);
    ASSERT_EQ(others.size(), 3u);
    EXPECT_TRUE(has(others[0], "forward.cpu: predicted 1000")) << others[0];
    EXPECT_TRUE(has(others[1], ": predicted ") || has(others[1], "(pinned_bytes)")) << others[1];
    EXPECT_EQ(judge_forward(slow_cpu.get(), *c, DSA_ROUTE_AUTO, {Where::kHost, {}}), "");
  }
  const Context slow_gpu = context_with("gpu.call", "1000");
  EXPECT_NE(route_of(slow_gpu.get(), d), "forward.gpu");
  const dsa_indexer_topk_desc select = said_on_device(c->select);
  const dsa_sparse_attn_desc attend = said_on_device(c->attend);
  d.select = &select;
  d.attend = &attend;
  EXPECT_NE(route_of(slow_gpu.get(), d), "forward.gpu");
  // Its workspace holds for whatever route a smaller call takes.
  uint64_t bytes = 0, of_gpu = 0;
  ASSERT_EQ(dsa_workspace_size(slow_gpu.get(), &d, &bytes), DSA_OK);
  d.route = DSA_ROUTE_GPU;
  ASSERT_EQ(dsa_workspace_size(slow_gpu.get(), &d, &of_gpu), DSA_OK);
  EXPECT_GE(bytes, of_gpu);
}

}  // namespace
