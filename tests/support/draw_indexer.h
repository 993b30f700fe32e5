// Draws queries, index keys, weights and scales into dsa_indexer_desc or dsa_indexer_topk_desc.
#pragma once

#include <cmath>
#include <limits>

#include "support/draw_fields.h"

namespace support {

struct IndexShape {
  int64_t keys;       // positions of a request
  int64_t page_size;  // 0 without pages
};

// Plain index keys with scales, or KEY_PAGE_132.
template <class Desc>
IndexShape draw_index_keys(Random& random, Arena& arena, const Frame& f, int64_t keys, int64_t dim,
                           int32_t dtype, bool scales, Desc& d) {
  d.key_layout = int32_t(random.between(0, 2));
  CacheShape cache = draw_cache(random, arena, f.batch, keys, d.key_layout);
  if (cache.layout == DSA_LAYOUT_PAGES) d.block_table = cache.table;
  Numbers numbers(random);
  const double special = random.chance(0.15) ? 0.05 : 0.0;  // keys with NaN or inf
  const auto value = [&]() -> double {
    if (special > 0 && random.chance(special / double(dim))) {
      return random.pick({std::numeric_limits<double>::quiet_NaN(),
                          std::numeric_limits<double>::infinity(),
                          -std::numeric_limits<double>::infinity()});
    }
    return numbers();
  };
  if (cache.layout == DSA_LAYOUT_PAGES && dtype == DSA_F8_E4M3FN &&
      cache.page_size * dim % 4 == 0 && scales) {
    d.key_format = DSA_FORMAT_KEY_PAGE_132;
    d.page_size = int32_t(cache.page_size);
    const int64_t bytes = cache.page_size * (dim + 4) + random.pick<int64_t>({0, 4, 60});
    d.keys = arena.input(DSA_U8, {cache.pages, bytes}, {.last_dense = true, .align_elements = 4});
    for (int64_t p = 0; p < cache.pages; ++p) {
      const int64_t index[2] = {p, 0};
      char* page = at(d.keys, index);
      for (int64_t i = 0; i < cache.page_size * dim; ++i) store(page + i, DSA_F8_E4M3FN, value());
      for (int64_t i = 0; i < cache.page_size; ++i) {
        store(page + cache.page_size * dim + 4 * i, DSA_F32, std::exp2(random.normal()));
      }
    }
    return {cache.keys, cache.page_size};
  }
  std::vector<int64_t> shape = cache.axes;
  shape.push_back(dim);
  d.keys = arena.input(dtype, shape, {.broadcast = random.chance(0.2)});
  fill(d.keys, value);
  if (cache.layout == DSA_LAYOUT_PAGES && random.chance(0.5))
    d.page_size = int32_t(cache.page_size);
  if (scales && random.chance(0.5)) {
    d.k_scale = arena.input(DSA_F32, random.chance(0.3) ? std::vector<int64_t>{1} : cache.axes,
                            {.broadcast = true});
    fill(d.k_scale, [&] { return std::exp2(random.normal()) * (random.chance(0.1) ? -1 : 1); });
  }
  return {cache.keys, cache.page_size};
}

// All inputs; `work` bounds T * Hi * Di * S.
template <class Desc>
IndexShape draw_index_inputs(Random& random, Arena& arena, const Frame& f, int64_t work, Desc& d) {
  int64_t heads = random.pick<int64_t>({1, 2, 3, 4, 5, 8, 15, 16, 17, 32, 64});
  int64_t dim =
      random.chance(0.5) ? random.pick<int64_t>({8, 16, 32, 64, 128}) : random.between(1, 140);
  if (random.chance(0.1)) {  // room for many keys
    heads = random.between(1, 4);
    dim = random.between(4, 16);
  }
  const int64_t most = std::max<int64_t>(1, work / (heads * dim * std::max<int64_t>(f.rows, 1)));
  int64_t keys = random.between(1, std::min<int64_t>(most, random.chance(0.2) ? 5000 : 400));
  if (work >= 1000000) keys = std::min<int64_t>(most, 6000);
  if (random.chance(0.03)) keys = 0;
  // A third of the calls suits kernels that take bf16 alone.
  const bool bf16 = random.chance(0.35);
  const int32_t q_dtype = bf16 ? int32_t(DSA_BF16) : draw_key_dtype(random);
  const int32_t k_dtype = bf16 ? int32_t(DSA_BF16) : draw_key_dtype(random);
  const IndexShape shape = draw_index_keys(random, arena, f, keys, dim, k_dtype, true, d);
  Numbers numbers(random);
  d.q = arena.input(q_dtype, row_shape(random, f, {heads, dim}), {.broadcast = random.chance(0.2)});
  const double nan = random.chance(0.05) ? 0.001 : 0.0;
  fill(d.q, [&] { return random.chance(nan) ? std::nan("") : numbers(); });
  if (random.chance(0.8)) {
    d.w = arena.input(draw_float(random), row_shape(random, f, {heads}), {.broadcast = true});
    fill(d.w, [&] { return numbers(); });
  }
  if (random.chance(0.25)) {
    d.q_scale = random.chance(0.3)
                    ? arena.input(DSA_F32, {1}, {})
                    : arena.input(DSA_F32, row_shape(random, f, {heads}), {.broadcast = true});
    fill(d.q_scale, [&] { return std::exp2(random.normal()) * (random.chance(0.1) ? -1 : 1); });
  }
  if (random.chance(0.2)) d.flags |= DSA_NO_RELU;
  return shape;
}

}  // namespace support
