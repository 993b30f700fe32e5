// dsa_forward by the routes of one device: what dsa_indexer_topk and dsa_sparse_attn give. And
// every way to ask for what it cannot do.
#include "support/forward.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/every_kernel.h"
#include "support/small_forward.h"

using namespace support;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// On a GPU the calls are refused that its kernels refuse.
void judge_route(int32_t route, Where where) {
  const Context ctx = make_context("", 2);
  ASSERT_TRUE(ctx);
  const SeedRange range(600);
  const double end = now() + 10;
  int drawn = 0, ran = 0;
  for (uint64_t seed = range.first; seed < range.first + range.count && now() < end; ++seed) {
    ++drawn;
    const auto c = draw_forward(seed, seed % 4 == 0 ? 100 : 8);
    if (where.kind == Where::kCopied) {
      const dsa_indexer_topk_desc select = said_on_device(c->select);
      const dsa_sparse_attn_desc attend = said_on_device(c->attend);
      dsa_forward_desc d = c->desc(route);
      d.select = &select;
      d.attend = &attend;
      if (dsa_supports(ctx.get(), &d) == DSA_ERROR_UNSUPPORTED) continue;
    }
    ASSERT_EQ(judge_forward(ctx.get(), *c, route, where), "") << describe(*c);
    ++ran;
  }
  std::printf("[ COMPARED ] route %d: %d calls\n", route, ran);
  EXPECT_GT(ran, drawn / 6);
}

TEST(Forward, CpuRoute) {
  if (device_wanted()) GTEST_SKIP() << "the tensors are on the GPU";
  judge_route(DSA_ROUTE_CPU, {Where::kHost});
}

// On a real device; tests/hybrid has them on one that is the host.
class OnGpu : public testing::TestWithParam<int32_t> {};
TEST_P(OnGpu, Route) {
  if (!device_wanted()) GTEST_SKIP() << "no GPU was asked for (DSA_TEST_DEVICE=cuda)";
  judge_route(GetParam(), {Where::kCopied});
}
INSTANTIATE_TEST_SUITE_P(Forward, OnGpu,
                         testing::Values(DSA_ROUTE_GPU, DSA_ROUTE_HYBRID,
                                         DSA_ROUTE_HYBRID_PREFILTER));

// And tensors that it has no use for.
struct Small : SmallForward {
  int32_t numbers[2 * 3] = {};
  dsa_tensor rows_of_3() { return dsa_tensor_2d(numbers, DSA_I32, 2, 3); }
};

TEST(Forward, Refusals) {
  const Context ctx = make_context();
  const auto expect = [&](dsa_status status, const std::string& text, auto change) {
    Small s;
    change(s);
    EXPECT_STREQ(dsa_status_name(dsa_forward(ctx.get(), &s.d, nullptr)), dsa_status_name(status))
        << text;
    EXPECT_TRUE(has(dsa_last_error(), text)) << dsa_last_error() << "; wanted " << text;
    for (const float x : s.out) ASSERT_EQ(x, Small::kUntouched) << text;
    // The questions answer alike, but for what only data can show.
    if (!has(text, "overlap")) {
      EXPECT_STREQ(dsa_status_name(dsa_supports(ctx.get(), &s.d)), dsa_status_name(status));
      uint64_t bytes = 0;
      EXPECT_STREQ(dsa_status_name(dsa_workspace_size(ctx.get(), &s.d, &bytes)),
                   dsa_status_name(status));
    }
  };
  constexpr dsa_status kInvalid = DSA_ERROR_INVALID, kUnsupported = DSA_ERROR_UNSUPPORTED;
  expect(kInvalid, "forward.flags has 0x1", [](Small& s) { s.d.flags = 1; });
  expect(kInvalid, "forward.route is 5", [](Small& s) { s.d.route = 5; });
  expect(kInvalid, "forward.route is -1", [](Small& s) { s.d.route = -1; });
  for (const float busy : {-0.1f, 1.5f, float(NAN)}) {
    expect(kInvalid, "forward.gpu_busy is", [&](Small& s) { s.d.gpu_busy = busy; });
  }
  expect(kInvalid, "forward.select: the descriptor is NULL",
         [](Small& s) { s.d.select = nullptr; });
  expect(kInvalid, "forward.attend: the descriptor is NULL",
         [](Small& s) { s.d.attend = nullptr; });
  expect(kInvalid, "forward.select.kind is 4", [](Small& s) { s.select.kind = 4; });
  expect(DSA_ERROR_STRUCT_SIZE, "forward.attend.struct_size is 8",
         [](Small& s) { s.attend.struct_size = 8; });
  expect(kInvalid, "forward.attend.selection is 3",
         [](Small& s) { s.attend.selection = DSA_SELECTION_ALL; });
  expect(kInvalid, "forward.attend.k is 4, forward.select.k is 3",
         [](Small& s) { s.attend.k = 4; });
  expect(kInvalid, "forward.attend.indices is given",
         [](Small& s) { s.attend.indices = s.rows_of_3(); });
  expect(kInvalid, "forward.attend.counts is given",
         [](Small& s) { s.attend.counts = dsa_tensor_1d(s.numbers, DSA_I32, 2); });
  expect(kInvalid, "forward.attend.cut_score is given",
         [](Small& s) { s.attend.cut_score = dsa_tensor_1d(s.q, DSA_F32, 2); });
  expect(kInvalid, "forward.attend.q has 1 query rows, forward.select.q has 2",
         [](Small& s) { s.attend.q.shape[0] = s.attend.out.shape[0] = 1; });
  expect(kInvalid, "indexer_topk.k is 0", [](Small& s) { s.select.k = 0; });
  expect(kInvalid, "sparse_attn.scale is 0", [](Small& s) { s.attend.scale = 0; });
  expect(kInvalid, "forward.attend.out and forward.select.q overlap",
         [](Small& s) { s.attend.out.data = s.q; });
  expect(kInvalid, "forward.select.indices and forward.attend.kv overlap", [](Small& s) {
    s.select.indices = s.rows_of_3();
    s.select.indices.data = s.kv;
  });
  if (device_wanted()) return;
  expect(kUnsupported, "forward.route is 1 (gpu): the context has no CUDA device",
         [](Small& s) { s.d.route = DSA_ROUTE_GPU; });
  expect(DSA_ERROR_NO_BACKEND, "sparse_attn.q.device is 2",
         [](Small& s) { s.attend.q.device = DSA_DEVICE_CUDA; });
}

// What was tried for the device that a route would need.
TEST(Forward, RefusalsSayWhyThereIsNoDevice) {
  dsa_ctx_options options{};
  options.struct_size = sizeof options;
  options.device = DSA_DEVICE_CUDA;
  options.flags = DSA_CTX_DEVICE_OPTIONAL;
  options.module_path = "/nonexistent/libdsa-cuda.so";
  setenv("DSA_BACKEND_PATH", "/nonexistent", 1);
  dsa_ctx* raw = nullptr;
  const dsa_status status = dsa_ctx_create(&options, &raw);
  unsetenv("DSA_BACKEND_PATH");
  ASSERT_EQ(status, DSA_OK) << dsa_last_error();
  const Context ctx(raw);
  Small s;
  EXPECT_EQ(dsa_forward(ctx.get(), &s.d, nullptr), DSA_OK) << dsa_last_error();
  for (const int32_t route : {DSA_ROUTE_GPU, DSA_ROUTE_HYBRID, DSA_ROUTE_HYBRID_PREFILTER}) {
    s.d.route = route;
    EXPECT_EQ(dsa_forward(ctx.get(), &s.d, nullptr), DSA_ERROR_UNSUPPORTED);
    EXPECT_TRUE(has(dsa_last_error(), "the context has no CUDA device: ")) << dsa_last_error();
    EXPECT_TRUE(has(dsa_last_error(), "/nonexistent/libdsa-cuda.so")) << dsa_last_error();
  }
}

TEST(Forward, PlansAndWorkspace) {
  const Context ctx = make_context();
  Small s;
  dsa_plan* plan = nullptr;
  ASSERT_EQ(dsa_plan_create(ctx.get(), &s.d, &plan), DSA_OK) << dsa_last_error();
  EXPECT_STREQ(dsa_plan_kernel(plan), "forward.cpu");
  bool gpu_refused = false;
  for (int32_t i = 0; const char* text = dsa_plan_refused(plan, i); ++i) {
    gpu_refused = gpu_refused || has(text, "forward.gpu: ");
  }
  EXPECT_TRUE(gpu_refused);
  uint64_t bytes = 0;
  ASSERT_EQ(dsa_workspace_size(ctx.get(), &s.d, &bytes), DSA_OK);
  ASSERT_GT(bytes, 0u);
  std::vector<char> memory(bytes + 256, char(0xff));
  dsa_exec exec{};
  exec.struct_size = sizeof exec;
  exec.plan = plan;
  exec.workspace = memory.data() + (256 - reinterpret_cast<uintptr_t>(memory.data()) % 256) % 256;
  exec.workspace_size = bytes;
  EXPECT_EQ(dsa_forward(ctx.get(), &s.d, &exec), DSA_OK) << dsa_last_error();
  EXPECT_EQ(s.out[0], 0);
  exec.workspace_size = bytes - 1;
  EXPECT_EQ(dsa_forward(ctx.get(), &s.d, &exec), DSA_ERROR_WORKSPACE);
  EXPECT_TRUE(has(dsa_last_error(), "forward.cpu needs " + std::to_string(bytes)))
      << dsa_last_error();
  exec.workspace_size = bytes;

  // A plan is of one operation, one route and one context.
  s.d.route = DSA_ROUTE_GPU;
  EXPECT_EQ(dsa_forward(ctx.get(), &s.d, &exec), DSA_ERROR_INVALID);
  EXPECT_TRUE(has(dsa_last_error(), "exec.plan is for route 2")) << dsa_last_error();
  s.d.route = DSA_ROUTE_AUTO;
  const Context other = make_context();
  EXPECT_EQ(dsa_forward(other.get(), &s.d, &exec), DSA_ERROR_INVALID);
  s.select.indices = s.rows_of_3();
  EXPECT_EQ(dsa_indexer_topk(ctx.get(), &s.select, &exec), DSA_ERROR_INVALID);
  EXPECT_TRUE(has(dsa_last_error(), "exec.plan is for operation 6")) << dsa_last_error();
  dsa_plan* step = nullptr;
  ASSERT_EQ(dsa_plan_create(ctx.get(), &s.select, &step), DSA_OK);
  exec.plan = step;
  EXPECT_EQ(dsa_forward(ctx.get(), &s.d, &exec), DSA_ERROR_INVALID);
  EXPECT_TRUE(has(dsa_last_error(), "exec.plan is for operation 3")) << dsa_last_error();
  dsa_plan_destroy(step);
  dsa_plan_destroy(plan);
}

}  // namespace
