// Draws the fields of a selection (section 7 of dsa.h): k, policies, hints, slots, outputs.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "support/draw_fields.h"

namespace support {

// `keys`: longest row; `page_size`: of block_table, 0: there is none; `values`: dtype of values.
template <class Desc>
void draw_select(Random& random, Arena& arena, const Frame& f, int64_t keys, int64_t page_size,
                 int32_t values, Desc& d) {
  switch (random.between(0, 5)) {
    case 0:
      d.k = 1;
      break;
    case 1:
      d.k = int32_t(keys + random.between(0, 20) + 1);
      break;
    default:
      d.k = int32_t(random.between(1, std::max<int64_t>(1, keys / 2)));
  }
  d.order =
      random.pick<int32_t>({DSA_ORDER_INDEX, DSA_ORDER_INDEX, DSA_ORDER_SCORE, DSA_ORDER_ANY});
  if (random.chance(0.1)) d.ties = DSA_TIES_ANY;
  if (random.chance(0.2)) d.flags |= DSA_SELECT_NEG_INF;
  if (random.chance(0.25)) {
    d.index_base = row_integers(random, arena, f, -1000, 1000, 0.1);
  }
  const auto width = [&] { return d.k + (random.chance(0.5) ? random.between(0, 9) : 0); };
  const auto rows = [&](std::initializer_list<int64_t> inner) {
    return row_shape(random, f, inner);
  };
  const bool any = d.order == DSA_ORDER_ANY || d.ties == DSA_TIES_ANY;
  const bool cut_only = !any && random.chance(0.15);
  if (!cut_only) {
    if (any || random.chance(0.85)) d.indices = arena.output(DSA_I32, rows({width()}));
    if (random.chance(0.5)) d.values = arena.output(values, rows({width()}));
    const bool own_table = random.chance(0.5);
    if (random.chance(0.3) && (own_table || page_size > 0)) {
      d.slots = arena.output(DSA_I32, rows({width()}));
      if (own_table) {
        const int64_t page = random.pick<int64_t>({1, 2, 5, 64});
        d.slot_page_size = int32_t(page);
        d.slot_table =
            draw_table(random, arena, f.batch,
                       std::max<int64_t>(1, keys / page + random.between(-1, 1)), 5000, 0.02);
      }
      if (random.chance(0.3)) {
        const int64_t page = own_table ? d.slot_page_size : page_size;
        d.slot_page_stride = int32_t(page + random.between(0, 70));
      }
    }
  }
  if (cut_only || random.chance(0.5)) d.counts = arena.output(DSA_I32, rows({}));
  if (d.ties != DSA_TIES_ANY && (cut_only || random.chance(0.4))) {
    if (random.chance(0.8)) d.cut_score = arena.output(DSA_F32, rows({}));
    if (random.chance(0.8)) d.cut_index = arena.output(DSA_I32, rows({}));
  }
  if (d.indices.ndim == 0 && d.values.ndim == 0 && d.slots.ndim == 0 && d.counts.ndim == 0 &&
      d.cut_score.ndim == 0 && d.cut_index.ndim == 0) {
    d.indices = arena.output(DSA_I32, rows({width()}));
  }
  if (cut_only && random.chance(0.2)) d.k = INT32_MAX - 1024;
  if (random.chance(0.3)) {
    d.hint_indices = arena.input(DSA_I32, rows({random.between(0, 40)}), {.broadcast = true});
    const double wild = random.pick({0.0, 0.2, 1.0});
    each_element(d.hint_indices, [&](char* at, const int64_t*) {
      store_i32(at, random.integer(0, std::max<int64_t>(keys, 1), wild));
    });
  }
  if (random.chance(0.3)) {
    constexpr double kInf = std::numeric_limits<double>::infinity();
    d.hint_bound = arena.input(DSA_F32, rows({}), {.broadcast = true});
    fill(d.hint_bound, [&]() -> double {
      return random.pick({-kInf, kInf, std::nan(""), 0.0, random.normal(), random.normal() * 30});
    });
  }
}

}  // namespace support
