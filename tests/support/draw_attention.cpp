#include "support/draw_attention.h"

#include <cmath>

namespace support {
namespace {

double small_number(Random& random) { return random.normal() * 0.5; }

// A token of KV_FP8_656.
void store_656(Random& random, char* token) {
  for (int i = 0; i < 512; ++i) store(token + i, DSA_F8_E4M3FN, random.normal());
  for (int i = 0; i < 4; ++i) store(token + 512 + 4 * i, DSA_F32, std::exp2(random.normal()));
  for (int i = 0; i < 64; ++i) store(token + 528 + 2 * i, DSA_BF16, random.normal());
}

void draw_packed(Random& random, Arena& arena, const CacheShape& cache, ScopeOut out) {
  *out.format = DSA_FORMAT_KV_FP8_656;
  const Arena::Style style{.last_dense = true, .align_elements = 4};
  if (cache.layout == DSA_LAYOUT_PAGES && random.chance(0.5)) {
    *out.page_size = int32_t(cache.page_size);
    *out.kv =
        arena.input(DSA_U8, {cache.pages, cache.page_size * 656 + random.pick({0, 8})}, style);
    for (int64_t page = 0; page < cache.pages; ++page) {
      for (int64_t row = 0; row < cache.page_size; ++row) {
        const int64_t index[2] = {page, row * 656};
        store_656(random, at(*out.kv, index));
      }
    }
    return;
  }
  std::vector<int64_t> shape = cache.axes;
  shape.push_back(656);
  *out.kv = arena.input(DSA_U8, shape, style);
  shape.back() = 1;
  dsa_tensor tokens = *out.kv;
  tokens.shape[tokens.ndim - 1] = 1;
  each_element(tokens, [&](char* token, const int64_t*) { store_656(random, token); });
}

// Widths of a scale's groups, or none.
dsa_tensor draw_scale(Random& random, Arena& arena, const CacheShape& cache, int64_t width,
                      bool packed) {
  std::vector<int64_t> shape = cache.axes;
  if (random.chance(0.3)) {
    shape = {1};
  } else if (random.chance(0.6)) {
    int64_t groups = random.pick<int64_t>({1, 2, 3, 4, 8});
    // Beside packed rows the groups must end where those are split.
    if (packed) groups = random.pick<int64_t>({1, 9});
    shape.push_back(width % groups == 0 ? groups : 1);
  }
  const dsa_tensor scale = arena.input(DSA_F32, shape, {.broadcast = true});
  fill(scale, [&] { return std::exp2(random.normal() * 0.5) * (random.chance(0.1) ? -1 : 1); });
  return scale;
}

dsa_tensor draw_part(Random& random, Arena& arena, const CacheShape& cache, int64_t kv_heads,
                     int64_t width, const AttnShape& all) {
  std::vector<int64_t> shape = cache.axes;
  if (kv_heads > 0) shape.push_back(kv_heads);
  shape.push_back(width);
  const Arena::Style style{.broadcast = all.uniform == 0 && random.chance(0.2),
                           .last_dense = all.uniform != 0,
                           .align_elements = all.aligned              ? 8
                                             : all.uniform == DSA_F32 ? 4
                                                                      : 1};
  const dsa_tensor t =
      arena.input(all.uniform ? all.uniform : draw_key_dtype(random), shape, style);
  fill(t, [&] { return small_number(random); });
  return t;
}

}  // namespace

int64_t draw_kv(Random& random, Arena& arena, const Frame& f, const AttnShape& shape, int64_t keys,
                ScopeOut out) {
  int32_t layout = int32_t(random.between(0, 2));
  if (*out.selection == DSA_SELECTION_SLOTS) layout = int32_t(random.between(0, 1));
  *out.layout = layout;
  const CacheShape cache = draw_cache(random, arena, f.batch, keys, layout);
  if (layout == DSA_LAYOUT_PAGES && (*out.selection != DSA_SELECTION_SLOTS || random.chance(0.5))) {
    *out.table = cache.table;
  }
  if (shape.packed && random.chance(0.7)) {
    draw_packed(random, arena, cache, out);
    return cache.keys;
  }
  if (layout == DSA_LAYOUT_PAGES && random.chance(0.5)) *out.page_size = int32_t(cache.page_size);
  // Head axis: 0 none, else KV heads.
  int64_t kv_heads = 0;
  if (random.chance(0.4)) {
    kv_heads = random.chance(0.3) || shape.uniform == DSA_BF16 ? 1 : shape.heads;
    while (random.chance(0.5) && kv_heads % 2 == 0) kv_heads /= 2;
  }
  *out.kv = draw_part(random, arena, cache, kv_heads, shape.dim, shape);
  if (shape.dim2 > 0) {
    *out.kv2 = draw_part(random, arena, cache, kv_heads, shape.dim2, shape);
  }
  const bool apart = shape.value_dim > shape.dim || random.chance(0.4);
  if (apart) *out.v = draw_part(random, arena, cache, kv_heads, shape.value_dim, shape);
  if (shape.uniform == 0 && random.chance(0.3)) {
    *out.kv_scale = draw_scale(random, arena, cache, shape.dim, shape.packed);
  }
  if (shape.uniform == 0 && apart && random.chance(0.3)) {
    *out.v_scale = draw_scale(random, arena, cache, shape.value_dim, false);
  }
  return cache.keys;
}

void draw_entries(Random& random, Arena& arena, const Frame& f, int64_t keys, ScopeOut out) {
  *out.k = int32_t(random.chance(0.1) ? keys + 3 : random.between(1, std::max<int64_t>(keys, 1)));
  int64_t most = keys - 1;
  if (*out.selection == DSA_SELECTION_SLOTS) {
    const bool pages = *out.layout == DSA_LAYOUT_PAGES;
    int64_t page = 1, stride = 1;
    if (pages) {
      const bool bytes = *out.format == DSA_FORMAT_KV_FP8_656 && out.kv->ndim == 2;
      page = bytes ? *out.page_size : out.kv->shape[1];
      if (random.chance(0.3)) *out.slot_page_size = int32_t(page);
    } else if (random.chance(0.4)) {
      page = random.pick<int64_t>({1, 2, 5, 64});
      *out.slot_page_size = int32_t(page);
    }
    stride = page;
    if (random.chance(0.3)) {
      stride = page + random.between(0, 40);
      *out.slot_page_stride = int32_t(stride);
    }
    const int64_t pages_there = pages ? out.kv->shape[0] : (out.kv->shape[0] + page - 1) / page;
    most = pages_there * stride;
  }
  const int64_t width = *out.k + (random.chance(0.5) ? random.between(0, 7) : 0);
  *out.indices = arena.input(DSA_I32, row_shape(random, f, {width}), {.broadcast = true});
  const double wild = random.pick({0.0, 0.1, 0.5});
  const bool ascending = random.chance(0.4);
  int64_t last = 0;
  each_element(*out.indices, [&](char* at, const int64_t* index) {
    if (index[out.indices->ndim - 1] == 0) last = random.between(0, 3);
    int32_t entry = random.integer(0, std::max<int64_t>(most, 0), wild);
    if (ascending && !random.chance(wild)) {
      entry = last <= most ? int32_t(last) : -1;
      last += random.between(1, 3);
    }
    store_i32(at, entry);
  });
  if (random.chance(0.4)) *out.counts = row_integers(random, arena, f, 0, *out.k, 0.1);
}

}  // namespace support
