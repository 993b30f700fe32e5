// The cost model and the choice: more work never costs less, the same call takes the same route,
// and what is declared (a busy GPU, fewer threads) pushes away from it.
#include "hybrid/pick.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "hybrid/cost.h"

namespace {

using namespace dsa;

constexpr int32_t kRoutes[] = {DSA_ROUTE_GPU, DSA_ROUTE_CPU, DSA_ROUTE_HYBRID,
                               DSA_ROUTE_HYBRID_PREFILTER};

// The experiment's call: B requests of T causal queries on T keys; four indexer heads of 32, four
// heads of 32 with keys and values of their own, f32.
struct Experiment {
  int64_t batch = 1, length = 512;
  int32_t k = 32;

  IndexerTopkParams select() const {
    IndexerTopkParams p;
    Rows& rows = p.indexer.rows;
    rows.count = batch * length;
    rows.batch = batch;
    rows.per_request = length;
    rows.by = VisibleBy::kCausal;
    rows.key_limit = length;
    p.indexer.heads = 4;
    p.indexer.dim = 32;
    p.indexer.q.dtype = p.indexer.keys.values.dtype = DSA_F32;
    p.select.k = k;
    return p;
  }
  SparseAttnParams attend() const {
    SparseAttnParams p;
    p.rows = batch * length;
    p.heads = 4;
    p.value_dim = 32;
    p.scope[0].pieces = 1;
    p.scope[0].piece[0].values.width = 32;
    p.scope[0].piece[0].values.dtype = p.q[0].dtype = DSA_F32;
    return p;
  }
  ForwardShape shape(double chunks = 1) const {
    ForwardShape s = shape_of(select(), attend(), true);
    s.chunks = chunks;
    return s;
  }
};

std::vector<RouteOffer> offers(const ForwardShape& shape, const ForwardLoad& load) {
  std::vector<RouteOffer> all = {{DSA_ROUTE_GPU, "forward.gpu", ""},
                                 {DSA_ROUTE_CPU, "forward.cpu", ""},
                                 {DSA_ROUTE_HYBRID, "forward.hybrid", ""},
                                 {DSA_ROUTE_HYBRID_PREFILTER, "forward.hybrid_prefilter", ""}};
  for (RouteOffer& offer : all) {
    offer.seconds = predict(Tune::built_in(), shape, offer.route, load);
  }
  return all;
}

int32_t picked_route(const ForwardShape& shape, const ForwardLoad& load) {
  const auto all = offers(shape, load);
  return all[pick_offer(all, DSA_ROUTE_AUTO)].route;
}

// Visible and selected keys as a loop over rows counts them.
TEST(ForwardShape, CountsWhatRowsSee) {
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    const auto draw = [&](int64_t low, int64_t high) {
      return std::uniform_int_distribution<int64_t>(low, high)(random);
    };
    Experiment e{draw(1, 3), draw(1, 300), static_cast<int32_t>(draw(1, 200))};
    IndexerTopkParams select = e.select();
    Rows& rows = select.indexer.rows;
    rows.offset = draw(-100, 400);
    rows.ratio = static_cast<int32_t>(draw(1, 4));
    rows.key_limit = draw(0, 600);
    if (draw(0, 1)) rows.max_keys = draw(1, 300);
    if (draw(0, 3) == 0) rows.by = VisibleBy::kAll;
    double visible = 0, selected = 0;
    for (int64_t t = 0; t < rows.count; ++t) {
      const RowSpan span = rows.span(t);
      visible += span.end - span.begin;
      selected += std::min(span.end - span.begin, e.k);
    }
    const ForwardShape s = shape_of(select, e.attend(), true);
    // Rounding by the ratio is reckoned with on average, not row by row.
    const double slack = rows.ratio == 1 ? 0.125 : 1.0;
    EXPECT_NEAR(s.visible, visible, slack * s.rows + 1e-6 * visible) << i;
    EXPECT_NEAR(s.selected, selected, slack * s.rows + 1e-6 * selected) << i;
    EXPECT_EQ(s.attended, s.selected);
  }
}

TEST(ForwardShape, EmptyCalls) {
  Experiment e{1, 0, 4};
  EXPECT_EQ(e.shape().visible, 0);
  for (const int32_t route : kRoutes) {
    const double seconds = predict(Tune::built_in(), e.shape(), route, {});
    EXPECT_TRUE(std::isfinite(seconds) && seconds > 0) << route;
  }
}

TEST(Predict, MoreWorkNeverCostsLess) {
  const Tune tune = Tune::built_in();
  for (const int32_t route : kRoutes) {
    const auto seconds = [&](const Experiment& e) {
      return predict(tune, e.shape(), route, {.lanes = 16});
    };
    for (const int64_t batch : {1, 8, 64}) {
      for (const int64_t length : {64, 512, 4096}) {
        for (const int32_t k : {8, 32}) {
          const double base = seconds({batch, length, k});
          EXPECT_LT(base, seconds({batch * 2, length, k}));
          EXPECT_LT(base, seconds({batch, length * 2, k}));
          EXPECT_LT(base, seconds({batch, length, k * 2}));
        }
      }
    }
    const ForwardShape s = Experiment{}.shape(4);
    EXPECT_LE(predict(tune, s, route, {.lanes = 16}), predict(tune, s, route, {.lanes = 4}));
    EXPECT_LE(predict(tune, s, route, {.lanes = 16}),
              predict(tune, s, route, {.lanes = 16, .gpu_busy = 0.5}));
    // More threads than were measured are not believed to be faster.
    EXPECT_EQ(predict(tune, s, route, {.lanes = 16}), predict(tune, s, route, {.lanes = 64}));
  }
}

TEST(Predict, ABusyGpuIsTheGpusAlone) {
  const Tune tune = Tune::built_in();
  const ForwardShape s = Experiment{64, 512, 64}.shape(8);
  const ForwardLoad idle{.lanes = 16}, half{.lanes = 16, .gpu_busy = 0.5};
  EXPECT_EQ(predict(tune, s, DSA_ROUTE_CPU, idle), predict(tune, s, DSA_ROUTE_CPU, half));
  EXPECT_GT(predict(tune, s, DSA_ROUTE_GPU, half),
            1.5 * (predict(tune, s, DSA_ROUTE_GPU, idle) - tune.gpu.call));
  EXPECT_EQ(hybrid_stages(tune, s, false, idle).select, hybrid_stages(tune, s, false, half).select);
  EXPECT_EQ(2 * hybrid_stages(tune, s, false, idle).score,
            hybrid_stages(tune, s, false, half).score);
}

TEST(Predict, ThePrefilterShipsLessOfLongRowsAlone) {
  const Tune tune = Tune::built_in();
  const ForwardShape longer = Experiment{8, 4096, 64}.shape(8),
                     shorter = Experiment{8, 64, 64}.shape();
  EXPECT_LT(hybrid_stages(tune, longer, true, {}).copy,
            0.2 * hybrid_stages(tune, longer, false, {}).copy);
  EXPECT_EQ(hybrid_stages(tune, shorter, true, {}).copy,
            hybrid_stages(tune, shorter, false, {}).copy);
}

TEST(Predict, TensorsOnTheOtherSideMove) {
  const Tune tune = Tune::built_in();
  ForwardShape s = Experiment{}.shape();
  s.input_bytes = 1e8;
  s.output_bytes = 1e7;
  ForwardShape host = s;
  host.on_device = false;
  for (const int32_t route : kRoutes) {
    const double there = predict(tune, s, route, {}), here = predict(tune, host, route, {});
    if (route == DSA_ROUTE_CPU) {
      EXPECT_GT(there, here + 1e8 / tune.hybrid.pageable_down);
    } else {
      EXPECT_GT(here, there + 1e8 / tune.hybrid.pageable_up);
    }
  }
}

TEST(Pick, TheSameCallTakesTheSameRoute) {
  for (const double busy : {0.0, 0.5, 1.0}) {
    for (const int64_t length : {64, 1024, 8192}) {
      const ForwardShape s = Experiment{4, length, 64}.shape(4);
      const ForwardLoad load{.lanes = 16, .gpu_busy = busy};
      const int32_t first = picked_route(s, load);
      for (int i = 0; i < 100; ++i) EXPECT_EQ(picked_route(s, load), first);
    }
  }
}

TEST(Pick, TheLeastPredictionWins) {
  for (const int64_t length : {64, 512, 4096}) {
    for (const double busy : {0.0, 0.9, 1.0}) {
      const auto all = offers(Experiment{8, length, 32}.shape(2), {.lanes = 16, .gpu_busy = busy});
      const size_t place = pick_offer(all, DSA_ROUTE_AUTO);
      for (const RouteOffer& offer : all) EXPECT_GE(offer.seconds, all[place].seconds);
    }
  }
}

TEST(Pick, ABusyGpuIsLeftToItsWork) {
  const ForwardShape s = Experiment{16, 512, 32}.shape();
  EXPECT_EQ(picked_route(s, {.lanes = 16}), DSA_ROUTE_GPU);
  EXPECT_EQ(picked_route(s, {.lanes = 16, .gpu_busy = 1}), DSA_ROUTE_CPU);
}

TEST(Pick, RoutesThatRefuseAreNotTaken) {
  auto all = offers(Experiment{}.shape(), {.lanes = 16});
  all[0].refusal = all[2].refusal = all[3].refusal = "no CUDA device";
  EXPECT_EQ(pick_offer(all, DSA_ROUTE_AUTO), 1u);
  EXPECT_EQ(pick_offer(all, DSA_ROUTE_HYBRID), 2u);  // whose refusal is the answer
  EXPECT_EQ(offer_text(all[0]), "forward.gpu: no CUDA device");
  EXPECT_EQ(offer_text(all[1]).rfind("forward.cpu: predicted ", 0), 0u);
  all[1].refusal = "no kernel takes this call";
  EXPECT_EQ(pick_offer(all, DSA_ROUTE_AUTO), all.size());
}

}  // namespace
