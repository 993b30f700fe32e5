// Questions about calls of dsa_forward on a device: no crash and no read of what `data` points to
// for arbitrary parts; workspace that never shrinks when an extent grows.
#include <cmath>

#include "fake_context.h"
#include "support/bend.h"
#include "support/seeds.h"

using namespace support;

namespace {

constexpr int32_t kRoutes[] = {DSA_ROUTE_AUTO, DSA_ROUTE_GPU, DSA_ROUTE_HYBRID,
                               DSA_ROUTE_HYBRID_PREFILTER};

TEST(ForwardQuestions, BentParts) {
  const Context ctx = fake_context();
  uint64_t accepted = 0, asked = 0;
  for (uint64_t seed = 1; seed <= seeds(150); ++seed) {
    Random random(seed * 977);
    const auto c = draw_forward(seed);
    dsa_indexer_topk_desc select = said_on_device(c->select);
    dsa_sparse_attn_desc attend = said_on_device(c->attend);
    point_nowhere(random, select, offsetof(dsa_indexer_topk_desc, q));
    point_nowhere(random, attend, offsetof(dsa_sparse_attn_desc, q));
    for (int i = 0; i < 40; ++i) {
      dsa_indexer_topk_desc bent_select = select;
      dsa_sparse_attn_desc bent_attend = attend;
      if (i % 2 == 0) bend_descriptor(random, bent_select, offsetof(dsa_indexer_topk_desc, q));
      if (i % 2 == 1) bend_descriptor(random, bent_attend, offsetof(dsa_sparse_attn_desc, q));
      dsa_forward_desc d = c->desc(kRoutes[i % 4]);
      d.select = &bent_select;
      d.attend = &bent_attend;
      accepted += ask(ctx.get(), d) == DSA_OK ? 1 : 0;
      ++asked;
      ASSERT_FALSE(HasFailure()) << "seed " << seed << " bend " << i << describe(bent_select)
                                 << describe(bent_attend);
    }
  }
  EXPECT_GT(accepted, 0u);
  EXPECT_LT(accepted, asked);
}

struct Extents {
  int64_t rows, keys, heads, k;
};

uint64_t workspace(dsa_ctx* ctx, int32_t route, const Extents& e) {
  const auto tensor = [](std::initializer_list<int64_t> shape) {
    return dsa_tensor_make(nullptr, DSA_F32, int32_t(shape.size()), shape.begin());
  };
  dsa_indexer_topk_desc select = dsa_indexer_topk_desc_init();
  select.q = tensor({e.rows, 4, 32});
  select.keys = tensor({e.keys, 32});
  select.k = int32_t(e.k);
  dsa_sparse_attn_desc attend = dsa_sparse_attn_desc_init();
  attend.q = tensor({e.rows, e.heads, 32});
  attend.kv = tensor({e.keys, 32});
  attend.scale = 1;
  attend.out = tensor({e.rows, e.heads, 32});
  select = said_on_device(select);
  attend = said_on_device(attend);
  dsa_forward_desc d = dsa_forward_desc_init();
  d.route = route;
  d.select = &select;
  d.attend = &attend;
  uint64_t bytes = 0;
  EXPECT_EQ(dsa_workspace_size(ctx, &d, &bytes), DSA_OK) << dsa_last_error();
  return bytes;
}

TEST(ForwardQuestions, WorkspaceNeverShrinks) {
  const Context ctx = fake_context();
  const Context little = fake_context(1 << 20);
  Random random(5);
  const auto draw = [&](double most) {
    return std::max<int64_t>(1, int64_t(std::exp2(random.unit() * most)));
  };
  for (uint64_t i = 0; i < seeds(4000); ++i) {
    const Extents small = {draw(17), draw(15), draw(5), draw(12)};
    Extents large = small;
    int64_t* const grown[] = {&large.rows, &large.keys, &large.heads, &large.k};
    int64_t& one = *grown[random.between(0, 3)];
    one = random.chance(0.4) ? one + 1 : one * random.between(1, 9);
    for (const int32_t route : {DSA_ROUTE_GPU, DSA_ROUTE_HYBRID, DSA_ROUTE_HYBRID_PREFILTER}) {
      dsa_ctx* const in = i % 2 ? ctx.get() : little.get();
      if (large.keys > 60000) continue;
      ASSERT_LE(workspace(in, route, small), workspace(in, route, large))
          << "route " << route << ": rows " << small.rows << " keys " << small.keys << " heads "
          << small.heads << " k " << small.k << ", then rows " << large.rows << " keys "
          << large.keys << " heads " << large.heads << " k " << large.k;
    }
  }
}

}  // namespace
