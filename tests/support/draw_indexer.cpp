#include "support/draw_indexer.h"

#include "support/cases.h"
#include "support/draw_select.h"

namespace support {

namespace {

// Multiply-adds of a case.
constexpr int64_t kWork = 300000;
constexpr int64_t kLargeWork = 8000000;

std::unique_ptr<IndexerCase> draw_scores(uint64_t seed, int64_t work) {
  auto c = std::make_unique<IndexerCase>(seed, guard_share(seed));
  Random& random = c->random;
  c->d = dsa_indexer_desc_init();
  dsa_indexer_desc& d = c->d;
  const Frame f = draw_frame(random, c->arena, d);
  const IndexShape shape = draw_index_inputs(random, c->arena, f, work, d);
  int64_t columns = shape.keys;
  if (random.chance(0.3)) columns = random.between(0, shape.keys + 20);
  draw_visibility(random, c->arena, f, shape.keys, columns, d);
  d.batch = f.batch;
  if (random.chance(0.2)) d.flags |= DSA_KEEP_INVISIBLE;
  d.scores =
      c->arena.output(random.chance(0.3) ? DSA_BF16 : DSA_F32, row_shape(random, f, {columns}));
  return c;
}

std::unique_ptr<IndexerTopkCase> draw_fused(uint64_t seed, int64_t work) {
  auto c = std::make_unique<IndexerTopkCase>(seed, guard_share(seed));
  Random& random = c->random;
  c->d = dsa_indexer_topk_desc_init();
  dsa_indexer_topk_desc& d = c->d;
  const Frame f = draw_frame(random, c->arena, d);
  const IndexShape shape = draw_index_inputs(random, c->arena, f, work, d);
  draw_visibility(random, c->arena, f, shape.keys, shape.keys, d);
  d.batch = f.batch;
  draw_select(random, c->arena, f, shape.keys, shape.page_size, DSA_F32, d);
  return c;
}

}  // namespace

std::unique_ptr<IndexerCase> draw_indexer(uint64_t seed) { return draw_scores(seed, kWork); }
std::unique_ptr<IndexerCase> draw_large_indexer(uint64_t seed) {
  return draw_scores(seed, kLargeWork);
}
std::unique_ptr<IndexerTopkCase> draw_indexer_topk(uint64_t seed) {
  return draw_fused(seed, kWork);
}
std::unique_ptr<IndexerTopkCase> draw_large_indexer_topk(uint64_t seed) {
  return draw_fused(seed, kLargeWork);
}

}  // namespace support
