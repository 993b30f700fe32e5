#include "support/draw_fields.h"

#include <cmath>
#include <limits>
#include <numeric>

namespace support {

dsa_tensor draw_mask(Random& random, Arena& arena, const Frame& f, int64_t columns) {
  const int32_t dtype = random.pick<int32_t>({DSA_U8, DSA_F32, DSA_F16, DSA_BF16});
  const dsa_tensor mask = arena.input(dtype, row_shape(random, f, {columns}), {.broadcast = true});
  const double hidden = random.pick({0.02, 0.3, 0.9, 1.0});
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const double lowest = dtype == DSA_F16    ? -65504.0
                        : dtype == DSA_BF16 ? -3.3895313892515355e38
                                            : -3.4028234663852886e38;
  fill(mask, [&]() -> double {
    const bool hide = random.chance(hidden);
    if (dtype == DSA_U8) return hide ? 0 : double(random.between(1, 255));
    if (hide) return random.chance(0.5) ? -kInf : lowest;
    return random.pick({0.0, -0.0, 1.0, -10000.0, lowest / 2, kInf, std::nan("")});
  });
  return mask;
}

dsa_tensor draw_table(Random& random, Arena& arena, int64_t batch, int64_t per_request,
                      int64_t cache_pages, double wild) {
  const dsa_tensor table = arena.input(DSA_I32, {batch, per_request}, {});
  std::vector<int32_t> pages(static_cast<size_t>(cache_pages));
  std::iota(pages.begin(), pages.end(), 0);
  random.shuffle(pages);
  size_t next = 0;
  each_element(table, [&](char* at, const int64_t*) {
    int32_t page = pages.empty() ? 0 : pages[next++ % pages.size()];
    if (random.chance(wild)) page = random.integer(-1, cache_pages - 1, 1.0);
    store_i32(at, page);
  });
  return table;
}

CacheShape draw_cache(Random& random, Arena& arena, int64_t batch, int64_t keys, int32_t layout) {
  CacheShape c;
  c.layout = layout;
  c.keys = keys;
  if (layout == DSA_LAYOUT_ROWS) {
    c.axes = {keys};
  } else if (layout == DSA_LAYOUT_BATCH) {
    c.axes = {batch, keys};
  } else {
    c.page_size = random.pick<int64_t>({1, 1, 2, 3, 4, 16, 64});
    const int64_t per_request = (keys + c.page_size - 1) / c.page_size;
    c.pages = per_request * batch + random.between(0, 3);
    // Fewer pages than places: cells that several requests share.
    if (random.chance(0.3)) c.pages = random.between(1, std::max<int64_t>(1, per_request));
    c.keys = per_request * c.page_size;
    const double wild = random.chance(0.3) ? 0.1 : 0.0;
    c.table = draw_table(random, arena, batch, per_request, c.pages, wild);
    c.axes = {c.pages, c.page_size};
  }
  return c;
}

}  // namespace support
