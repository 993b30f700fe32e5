#include <cmath>
#include <limits>

#include "support/cases.h"
#include "support/draw_select.h"

namespace support {
namespace {

// Rows of scores of the shapes that break selections: plateaus, one bin, runs, specials.
void fill_scores(Random& random, const dsa_tensor& scores) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const int64_t kind = random.between(0, 9);
  const double special = random.chance(0.4) ? random.pick({0.02, 0.3, 0.97}) : 0.0;
  const int64_t levels = random.pick<int64_t>({1, 2, 3, 10});
  int64_t step = 0;
  fill(scores, [&]() -> double {
    ++step;
    if (random.chance(special)) {
      return random.pick({-kInf, kInf, -kInf, std::nan(""), 0.0, -0.0, 1e-40, -1e-44, 3e38});
    }
    switch (kind) {
      case 0:
        return double(step);  // rising
      case 1:
        return -double(step);  // falling
      case 2:
        return double(random.between(0, levels - 1)) - 1;  // plateaus
      case 3:
        return 1.0 + double(random.between(0, 3)) * 0x1p-23;  // the last bits differ
      case 4:
        return std::fmax(0.0, random.normal() - 1);  // ReLU: many zeros
      case 5:
        return random.normal() * std::ldexp(1.0, int(random.between(-60, 60)));
      default:
        return random.normal();
    }
  });
}

std::unique_ptr<TopkCase> draw(uint64_t seed, bool large) {
  auto c = std::make_unique<TopkCase>(seed, guard_share(seed));
  Random& random = c->random;
  Arena& arena = c->arena;
  c->d = dsa_topk_desc_init();
  dsa_topk_desc& d = c->d;
  const Frame f = draw_frame(random, arena, d);
  int64_t columns = random.between(1, 300);
  if (random.chance(0.04)) columns = 0;
  if (random.chance(0.15)) columns = random.between(300, 6000);
  if (random.chance(0.02)) columns = random.between(6000, 90000);
  if (large) columns = random.between(6000, 150000);
  const int32_t dtype = draw_float(random);
  d.scores = arena.input(dtype, row_shape(random, f, {columns}), {.broadcast = true});
  fill_scores(random, d.scores);
  draw_visibility(random, arena, f, columns, columns, d);
  if (d.flags & DSA_COLUMNS_FROM_BEGIN && d.row_begin.ndim != 0 && random.chance(0.5)) {
    // Rows far into a packed axis.
    each_element(d.row_begin, [&](char* at, const int64_t*) {
      store_i32(at, random.integer(0, 2000000000, 0.05));
    });
    each_element(d.row_end, [&](char* at, const int64_t*) { store_i32(at, INT32_MAX); });
  }
  int64_t page = 0;
  if (random.chance(0.3)) {
    page = random.pick<int64_t>({1, 3, 16});
    d.page_size = int32_t(page);
    d.block_table = draw_table(random, arena, f.batch, columns / page + 1, 400, 0.02);
  }
  draw_select(random, arena, f, columns, page, dtype, d);
  if (f.batch > 1) d.batch = f.batch;
  if (large && random.chance(0.7)) {
    // A k that leaves long rows divided.
    const int32_t k = int32_t(random.between(1, columns / 16));
    if (k < d.k) d.k = k;
  }
  return c;
}

}  // namespace

std::unique_ptr<TopkCase> draw_topk(uint64_t seed) { return draw(seed, false); }
std::unique_ptr<TopkCase> draw_large_topk(uint64_t seed) { return draw(seed, true); }

}  // namespace support
