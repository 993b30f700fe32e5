#include <cmath>
#include <limits>

#include "support/cases.h"
#include "support/draw_fields.h"

namespace support {

std::unique_ptr<MergeLseCase> draw_merge_lse(uint64_t seed) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  auto c = std::make_unique<MergeLseCase>(seed, guard_share(seed));
  Random& random = c->random;
  Arena& arena = c->arena;
  c->d = dsa_merge_lse_desc_init();
  dsa_merge_lse_desc& d = c->d;
  if (random.chance(0.3)) d.flags |= DSA_LSE_BASE2;
  if (random.chance(0.3)) d.flags |= DSA_LSE_WITH_SINK;
  if (random.chance(0.3)) d.flags |= DSA_LSE_EMPTY_POS_INF;
  const int64_t parts = random.chance(0.05) ? 0 : random.between(1, 5);
  Frame f;
  f.batch = random.between(1, 3);
  f.rows = random.chance(0.03) ? 0 : f.batch * random.between(1, 4);
  f.split = random.chance(0.4);
  const int64_t heads = random.between(1, 20);
  const int64_t dim =
      random.chance(0.5) ? random.pick<int64_t>({16, 64, 128}) : random.between(1, 140);
  const auto shape = [&](std::initializer_list<int64_t> inner) {
    std::vector<int64_t> s = row_shape(random, f, inner);
    s.insert(s.begin(), parts);
    return s;
  };
  const double empty = random.pick({0.0, 0.2, 1.0});
  const double offset = random.pick({0.0, 100.0, -100.0, 3000.0});
  d.partial_lse = arena.input(DSA_F32, shape({heads}), {.broadcast = true});
  fill(d.partial_lse, [&]() -> double {
    if (random.chance(empty)) {
      return d.flags & DSA_LSE_EMPTY_POS_INF && random.chance(0.5) ? kInf : -kInf;
    }
    return random.normal() * 3 + offset;
  });
  const bool out = random.chance(0.85);
  if (out) {
    d.partial_out = arena.input(draw_float(random), shape({heads, dim}), {.broadcast = true});
    fill(d.partial_out, [&] { return random.normal(); });
    d.out = arena.output(draw_float(random), row_shape(random, f, {heads, dim}));
  }
  if (!out || random.chance(0.6)) d.lse = arena.output(DSA_F32, row_shape(random, f, {heads}));
  if (random.chance(0.4)) {
    d.partial_max = arena.input(DSA_F32, shape({heads}), {.broadcast = true});
    fill(d.partial_max, [&] { return random.chance(0.1) ? -kInf : random.normal(); });
    d.max = arena.output(DSA_F32, row_shape(random, f, {heads}));
  }
  if (random.chance(0.5)) {
    d.sink = arena.input(DSA_F32, {heads}, {.broadcast = true});
    fill(d.sink, [&] { return random.pick({-kInf, kInf, random.normal() + offset, 0.0}); });
  }
  return c;
}

}  // namespace support
