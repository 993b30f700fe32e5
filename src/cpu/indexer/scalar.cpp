// Indexer, any machine: 8 keys by 4 heads in the compiler's own 16-byte vectors, product and sum
// rounded apart.
#include "cpu/simd/scalar.h"

#include "cpu/indexer/pack_keys.inl.h"
#include "cpu/indexer/pack_query.inl.h"
#include "cpu/indexer/score.inl.h"

namespace dsa::cpu {
namespace {

struct FourLanes {
  static constexpr int kWidth = 4;
  using F = float __attribute__((vector_size(16)));

  static F zero() { return F{}; }
  static F set1(float x) { return F{x, x, x, x}; }
  static F load(const float* p) {
    F a;
    memcpy(&a, p, sizeof a);
    return a;
  }
  static void store(float* p, F a) { memcpy(p, &a, sizeof a); }
  static F mul(F a, F b) { return a * b; }
  static F fma(F a, F b, F c) { return a * b + c; }
  static F relu(F a) { return F{} > a ? F{} : a; }  // relu(NaN) is NaN
};

using Score = ScoreF32<FourLanes, 2, 4>;

bool takes_all(IndexerType, IndexerType, bool) { return true; }

}  // namespace

const IndexerTier& indexer_tier_scalar() {
  static const IndexerTier tier = {
      .name = "scalar",
      .key_block = Score::kBlock,
      .query_bytes = f32_query_bytes,
      .key_bytes = Score::key_bytes,
      .takes = takes_all,
      .pack_query = ConvertRow<scalar::Scalar>::query,
      .pack_keys = pack_keys_plain<Score::kBlock>,
      .begin = no_setup,
      .end = no_setup,
      .score = Score::score,
  };
  return tier;
}

}  // namespace dsa::cpu
