// Indexer, AVX-512: 48 keys by 8 heads, 24 of the 32 registers sums; per step of d 24 FMAs stand
// against 11 loads.
#include "cpu/simd/avx512.h"

#include "cpu/indexer/lanes_avx512.h"
#include "cpu/indexer/pack_keys_x86.inl.h"
#include "cpu/indexer/pack_query.inl.h"
#include "cpu/indexer/score.inl.h"

namespace dsa::cpu {
namespace {

using Score = ScoreF32<avx512::Avx512, 3, 8>;

bool takes_all(IndexerType, IndexerType, bool) { return true; }

}  // namespace

const IndexerTier& indexer_tier_avx512() {
  static const IndexerTier tier = {
      .name = "avx512",
      .key_block = Score::kBlock,
      .query_bytes = f32_query_bytes,
      .key_bytes = Score::key_bytes,
      .takes = takes_all,
      .pack_query = ConvertRow<avx512::Avx512>::query,
      .pack_keys = PackKeys<avx512::KeyLanes, Score::kBlock>::run,
      .begin = no_setup,
      .end = no_setup,
      .score = Score::score,
  };
  return tier;
}

}  // namespace dsa::cpu
