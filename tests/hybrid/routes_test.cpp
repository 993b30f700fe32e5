// Random calls by all routes of a device: the same bits of selection as dsa_indexer_topk there,
// attention as the oracle has it; in one chunk and in many.
#include "fake_context.h"
#include "support/every_kernel.h"

using namespace support;

namespace {

struct Setting {
  int32_t route;
  uint64_t pinned_bytes;
};

class Routes : public testing::TestWithParam<Setting> {};

TEST_P(Routes, SelectTheSame) {
  const Setting setting = GetParam();
  const Context ctx = fake_context(setting.pinned_bytes);
  const SeedRange range(600);
  const double end = now() + 8;
  int ran = 0, refused = 0;
  for (uint64_t seed = range.first; seed < range.first + range.count && now() < end; ++seed) {
    const auto c = draw_forward(seed, seed % 4 == 0 ? 100 : 8);
    const std::string wrong = judge_forward(ctx.get(), *c, setting.route, on_fake());
    if (wrong.find("select.order is 1") != std::string::npos ||
        wrong.find("(pinned_bytes)") != std::string::npos) {
      ++refused;
      continue;
    }
    ASSERT_EQ(wrong, "") << describe(*c);
    ++ran;
  }
  std::printf("[ COMPARED ] route %d: %d calls, %d refused\n", setting.route, ran, refused);
  EXPECT_GT(ran, 20);
}

INSTANTIATE_TEST_SUITE_P(Hybrid, Routes,
                         testing::Values(Setting{DSA_ROUTE_GPU, 0}, Setting{DSA_ROUTE_HYBRID, 0},
                                         Setting{DSA_ROUTE_HYBRID, 16384},
                                         Setting{DSA_ROUTE_HYBRID_PREFILTER, 0},
                                         Setting{DSA_ROUTE_HYBRID_PREFILTER, 16384}));

}  // namespace
