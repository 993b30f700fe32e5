// Indexer, AVX2: 24 keys by 4 heads, 12 of the 16 registers sums; per step of d 12 FMAs stand
// against 7 loads.
#include "cpu/simd/avx2.h"

#include "cpu/indexer/lanes_avx2.h"
#include "cpu/indexer/pack_keys_x86.inl.h"
#include "cpu/indexer/pack_query.inl.h"
#include "cpu/indexer/score.inl.h"

namespace dsa::cpu {
namespace {

using Score = ScoreF32<avx2::Avx2, 3, 4>;

bool takes_all(IndexerType, IndexerType, bool) { return true; }

}  // namespace

const IndexerTier& indexer_tier_avx2() {
  static const IndexerTier tier = {
      .name = "avx2",
      .key_block = Score::kBlock,
      .query_bytes = f32_query_bytes,
      .key_bytes = Score::key_bytes,
      .takes = takes_all,
      .pack_query = ConvertRow<avx2::Avx2>::query,
      .pack_keys = PackKeys<avx2::KeyLanes, Score::kBlock>::run,
      .begin = no_setup,
      .end = no_setup,
      .score = Score::score,
  };
  return tier;
}

}  // namespace dsa::cpu
