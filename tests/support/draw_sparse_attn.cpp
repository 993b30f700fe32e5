#include <cmath>
#include <limits>

#include "oracle/rows.h"
#include "oracle/topk.h"
#include "support/cases.h"
#include "support/draw_attention.h"

namespace support {
namespace {

// Multiply-adds of a case.
constexpr int64_t kWork = 200000;
constexpr int64_t kLargeWork = 6000000;

AttnShape draw_shape(Random& random) {
  AttnShape s{};
  s.heads = random.pick<int64_t>({1, 2, 3, 4, 6, 8, 16, 17, 20, 32});
  s.uniform = random.chance(0.3) ? DSA_BF16 : random.chance(0.1) ? DSA_F32 : 0;
  if (s.uniform == DSA_BF16) s.heads = random.pick<int64_t>({4, 5, 8, 16, 20, 32});
  s.aligned = s.uniform == DSA_BF16 && random.chance(0.25);
  if (s.aligned) {  // many heads over rows of whole lines, as the models have them
    s.heads = random.pick<int64_t>({16, 33, 40, 64, 65});
    s.dim = random.pick<int64_t>({64, 128, 192});
    if (random.chance(0.3)) s.dim2 = 64;
    if (random.chance(0.4)) {  // of the models' own width
      s.heads = random.pick<int64_t>({1, 8, 16, 32});
      s.dim = 512;
      s.dim2 = random.pick<int64_t>({0, 64});
    }
    s.value_dim = random.between(1, s.dim);
    return s;
  }
  s.packed = s.uniform == 0 && random.chance(0.12);
  if (s.packed) {
    s.heads = random.between(1, 5);
    s.dim = 576;
    s.value_dim = random.chance(0.7) ? 512 : random.between(1, 512);
    return s;
  }
  const auto dim = [&] {
    return random.chance(0.5) ? random.pick<int64_t>({8, 16, 32, 64, 128}) : random.between(1, 150);
  };
  s.dim = dim();
  if (random.chance(0.15)) {  // room for many keys: rows of several pieces
    s.heads = s.uniform == DSA_BF16 ? 4 : random.between(1, 4);
    s.dim = s.value_dim = random.between(4, 16);
    return s;
  }
  if (random.chance(0.3)) s.dim2 = random.chance(0.5) ? 64 : random.between(1, 70);
  s.value_dim = random.chance(0.5) ? s.dim : random.between(1, s.dim + 5);
  return s;
}

// scores, cut_score, cut_index: what a selection of k keys would give, or anything.
void draw_cut(Random& random, Arena& arena, const Frame& f, int64_t keys, dsa_sparse_attn_desc& d) {
  const int64_t columns = random.chance(0.7) ? keys : random.between(1, keys + 5);
  d.k = int32_t(random.between(1, std::max<int64_t>(keys, 1)));
  d.scores = arena.input(draw_float(random), row_shape(random, f, {columns}), {});
  const bool levels = random.chance(0.5);
  fill(d.scores, [&]() -> double {
    if (random.chance(0.1)) {
      return random.pick({-std::numeric_limits<double>::infinity(), std::nan(""), 0.0, -0.0});
    }
    return levels ? double(random.between(0, 3)) : random.normal();
  });
  d.cut_score = arena.input(DSA_F32, row_shape(random, f, {}), {});
  d.cut_index = arena.input(DSA_I32, row_shape(random, f, {}), {});
  const double any = random.pick({0.0, 0.2});
  for (int64_t t = 0; t < f.rows; ++t) {
    std::vector<oracle::Candidate> all;
    for (int64_t s = 0; s < columns; ++s) {
      const double score = oracle::row_number(d.scores, t, {s});
      if (oracle::selectable(score, d.flags)) all.push_back({s, score, s});
    }
    const oracle::Selected selected = oracle::select(all, d.k, DSA_ORDER_INDEX);
    double score = selected.cut_score;
    int32_t index = int32_t(selected.cut_index);
    if (random.chance(any)) score = random.pick({0.0, 1.0, random.normal(), std::nan("")});
    if (random.chance(any)) index = random.integer(0, keys, 0.5);
    store(oracle::row_address(d.cut_score, t, {}), DSA_F32, score);
    store_i32(oracle::row_address(d.cut_index, t, {}), index);
  }
}

void draw_first(Random& random, Arena& arena, const Frame& f, const AttnShape& shape, int64_t keys,
                dsa_sparse_attn_desc& d) {
  d.selection = int32_t(random.between(0, 3));
  const ScopeOut out{
      &d.key_layout,     &d.key_format,       &d.page_size,   &d.selection, &d.k,
      &d.slot_page_size, &d.slot_page_stride, &d.kv,          &d.kv2,       &d.v,
      &d.kv_scale,       &d.v_scale,          &d.block_table, &d.indices,   &d.counts};
  keys = draw_kv(random, arena, f, shape, keys, out);
  const bool slots = d.selection == DSA_SELECTION_SLOTS;
  draw_visibility(random, arena, f, keys, slots ? 0 : keys, d);
  d.batch = f.batch;
  if (random.chance(0.2)) d.flags |= DSA_SELECT_NEG_INF;
  if (d.selection == DSA_SELECTION_CUT) {
    draw_cut(random, arena, f, keys, d);
  } else if (d.selection != DSA_SELECTION_ALL) {
    int64_t entries = keys;
    if (!slots && random.chance(0.3)) {
      d.index_block = int32_t(random.between(1, 9));
      if (random.chance(0.5)) d.flags |= DSA_BLOCK_TAIL;
      entries = keys / d.index_block + 1;
    }
    draw_entries(random, arena, f, entries, out);
  }
  if (random.chance(0.25)) {
    const bool near = random.chance(0.8);
    d.index_base = row_integers(random, arena, f, near ? 0 : -2000000000, near ? 5 : 2000000000, 0);
  }
}

void draw_second(Random& random, Arena& arena, const Frame& f, const AttnShape& shape, int64_t keys,
                 dsa_sparse_attn_desc& d) {
  d.selection_b =
      random.pick<int32_t>({DSA_SELECTION_INDICES, DSA_SELECTION_SLOTS, DSA_SELECTION_ALL});
  const ScopeOut out{
      &d.key_layout_b,     &d.key_format_b,       &d.page_size_b,   &d.selection_b, &d.k_b,
      &d.slot_page_size_b, &d.slot_page_stride_b, &d.kv_b,          &d.kv2_b,       &d.v_b,
      &d.kv_scale_b,       &d.v_scale_b,          &d.block_table_b, &d.indices_b,   &d.counts_b};
  keys = draw_kv(random, arena, f, shape, keys, out);
  if (random.chance(0.5)) {
    d.row_end_b = row_integers(random, arena, f, 0, keys + 2, 0.05);
    if (random.chance(0.6)) d.row_begin_b = row_integers(random, arena, f, 0, keys / 2 + 1, 0.05);
  }
  if (d.selection_b != DSA_SELECTION_ALL) draw_entries(random, arena, f, keys, out);
}

void draw_queries(Random& random, Arena& arena, const Frame& f, const AttnShape& shape,
                  dsa_sparse_attn_desc& d) {
  const auto part = [&](int64_t width) {
    const int32_t dtype = shape.uniform ? shape.uniform : draw_key_dtype(random);
    const dsa_tensor q = arena.input(dtype, row_shape(random, f, {shape.heads, width}),
                                     {.broadcast = random.chance(0.1),
                                      .last_dense = shape.aligned,
                                      .align_elements = shape.aligned ? 8 : 1});
    fill(q, [&] { return random.normal(); });
    return q;
  };
  d.q = part(shape.dim);
  if (shape.dim2 > 0) d.q2 = part(shape.dim2);
  if (shape.uniform == 0 && random.chance(0.2)) {
    d.q_scale = random.chance(0.3) ? arena.input(DSA_F32, {1}, {})
                                   : arena.input(DSA_F32, row_shape(random, f, {shape.heads}),
                                                 {.broadcast = true});
    fill(d.q_scale, [&] { return std::exp2(random.normal() * 0.5); });
  }
  d.scale = float(random.pick({0.05, 0.1, 0.3, 1.0}) * (random.chance(0.1) ? -1 : 1));
  if (random.chance(0.4)) {
    constexpr double kInf = std::numeric_limits<double>::infinity();
    d.sink = arena.input(DSA_F32, {shape.heads}, {.broadcast = true});
    fill(d.sink, [&] {
      return random.pick({-kInf, kInf, random.normal(), random.normal() * 5, 30.0, -30.0});
    });
  }
}

std::unique_ptr<SparseAttnCase> draw(uint64_t seed, int64_t work) {
  auto c = std::make_unique<SparseAttnCase>(seed, guard_share(seed));
  Random& random = c->random;
  Arena& arena = c->arena;
  c->d = dsa_sparse_attn_desc_init();
  dsa_sparse_attn_desc& d = c->d;
  const AttnShape shape = draw_shape(random);
  const Frame f = draw_frame(random, arena, d);
  const int64_t cost = shape.heads * (shape.dim + shape.dim2 + shape.value_dim);
  const int64_t most = std::max<int64_t>(1, work / (cost * std::max<int64_t>(f.rows, 1)));
  int64_t keys = random.between(1, std::min<int64_t>(most, random.chance(0.3) ? 2500 : 300));
  if (work == kLargeWork) keys = std::min<int64_t>(most, random.between(300, 3000));
  if (random.chance(0.03)) keys = 0;
  draw_first(random, arena, f, shape, keys, d);
  if (random.chance(0.3)) {
    draw_second(random, arena, f, shape, random.between(0, std::min<int64_t>(most, 150)), d);
  }
  draw_queries(random, arena, f, shape, d);
  if (random.chance(0.2)) d.flags |= DSA_LSE_BASE2;
  if (random.chance(0.2)) d.flags |= DSA_LSE_WITH_SINK;
  if (random.chance(0.2)) d.flags |= DSA_LSE_EMPTY_POS_INF;
  const bool lse_only = random.chance(0.08);
  if (!lse_only) {
    d.out = arena.output(draw_float(random), row_shape(random, f, {shape.heads, shape.value_dim}));
  }
  if (lse_only || random.chance(0.6)) {
    d.lse = arena.output(DSA_F32, row_shape(random, f, {shape.heads}));
  }
  if (random.chance(0.4)) d.max = arena.output(DSA_F32, row_shape(random, f, {shape.heads}));
  return c;
}

}  // namespace

std::unique_ptr<SparseAttnCase> draw_sparse_attn(uint64_t seed) { return draw(seed, kWork); }
std::unique_ptr<SparseAttnCase> draw_large_sparse_attn(uint64_t seed) {
  return draw(seed, kLargeWork);
}

}  // namespace support
