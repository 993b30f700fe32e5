#include "support/draw_attention.h"
#include "support/draw_indexer.h"
#include "support/draw_select.h"
#include "support/forward.h"

namespace support {
namespace {

Frame draw_rows(Random& random, Arena& arena, int64_t rows, ForwardCase& c) {
  Frame f;
  f.batch = random.chance(0.4) ? 1 : random.between(2, 4);
  f.by_table = random.chance(0.3);
  const int64_t per = std::max<int64_t>(1, rows / f.batch);
  f.rows = f.by_table ? random.between(1, rows) : f.batch * random.between(1, per);
  if (random.chance(0.02)) f.rows = 0;
  f.split = f.rows % f.batch == 0 && random.chance(0.4);
  if (f.by_table) {
    c.select.row_request = c.attend.row_request =
        row_integers(random, arena, f, 0, f.batch - 1, 0.05);
  }
  return f;
}

// The same visible keys for both, or each its own.
void draw_visible(Random& random, Arena& arena, const Frame& f, int64_t select_keys,
                  int64_t attend_keys, ForwardCase& c) {
  dsa_indexer_topk_desc& s = c.select;
  dsa_sparse_attn_desc& a = c.attend;
  draw_visibility(random, arena, f, select_keys, select_keys, s);
  if (random.chance(0.3)) {
    draw_visibility(random, arena, f, attend_keys, attend_keys, a);
  } else if (random.chance(0.7)) {
    a.flags |= s.flags & (DSA_CAUSAL | DSA_COLUMNS_FROM_BEGIN);
    a.offset = s.offset;
    a.max_keys = s.max_keys;
    a.next_n = s.next_n;
    a.ratio = s.ratio;
    a.row_begin = s.row_begin;
    a.row_end = s.row_end;
    a.seq_lens = s.seq_lens;
    a.mask = s.mask;
  }
  s.batch = a.batch = f.batch;
}

void draw_attend(Random& random, Arena& arena, const Frame& f, const AttnShape& shape,
                 dsa_sparse_attn_desc& d) {
  const auto part = [&](int64_t width) {
    const int32_t dtype = shape.uniform ? shape.uniform : draw_key_dtype(random);
    const dsa_tensor q = arena.input(dtype, row_shape(random, f, {shape.heads, width}),
                                     {.broadcast = random.chance(0.1)});
    fill(q, [&] { return random.normal(); });
    return q;
  };
  d.q = part(shape.dim);
  if (shape.dim2 > 0) d.q2 = part(shape.dim2);
  d.scale = 0.2f;
  if (random.chance(0.3)) {
    d.sink = arena.input(DSA_F32, {shape.heads}, {.broadcast = true});
    fill(d.sink, [&] { return random.normal(); });
  }
  const bool lse_only = random.chance(0.05);
  if (!lse_only) {
    d.out = arena.output(draw_float(random), row_shape(random, f, {shape.heads, shape.value_dim}));
  }
  if (lse_only || random.chance(0.5)) {
    d.lse = arena.output(DSA_F32, row_shape(random, f, {shape.heads}));
  }
  if (random.chance(0.3)) d.max = arena.output(DSA_F32, row_shape(random, f, {shape.heads}));
}

}  // namespace

std::unique_ptr<ForwardCase> draw_forward(uint64_t seed, int64_t rows) {
  auto c = std::make_unique<ForwardCase>(seed);
  Random& random = c->random;
  Arena& arena = c->arena;
  dsa_indexer_topk_desc& s = c->select = dsa_indexer_topk_desc_init();
  dsa_sparse_attn_desc& a = c->attend = dsa_sparse_attn_desc_init();
  const Frame f = draw_rows(random, arena, rows, *c);
  const IndexShape index = draw_index_inputs(random, arena, f, 40000 * rows, s);

  AttnShape shape{};
  shape.heads = random.pick<int64_t>({1, 2, 4, 6, 8, 16});
  shape.uniform = random.chance(0.4) ? DSA_BF16 : random.chance(0.4) ? DSA_F32 : 0;
  shape.dim = random.pick<int64_t>({8, 16, 32, 64});
  shape.dim2 = random.chance(0.2) ? 16 : 0;
  shape.value_dim = shape.dim;
  const ScopeOut out{
      &a.key_layout,     &a.key_format,       &a.page_size,   &a.selection, &a.k,
      &a.slot_page_size, &a.slot_page_stride, &a.kv,          &a.kv2,       &a.v,
      &a.kv_scale,       &a.v_scale,          &a.block_table, &a.indices,   &a.counts};
  const int64_t keys = draw_kv(random, arena, f, shape, index.keys, out);
  draw_visible(random, arena, f, index.keys, keys, *c);
  draw_select(random, arena, f, index.keys, index.page_size, DSA_F32, s);
  if (random.chance(0.4)) {
    const dsa_tensor none{};
    s.indices = s.slots = s.values = s.counts = s.cut_score = s.cut_index = none;
  }
  a.index_base = s.index_base;
  draw_attend(random, arena, f, shape, a);
  if (random.chance(0.3)) a.k = s.k;
  return c;
}

}  // namespace support
