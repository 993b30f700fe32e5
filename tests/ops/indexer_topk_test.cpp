// dsa_indexer_topk against the oracle: random calls on every kernel, NaN in all keys that no row
// sees.
#include "oracle/indexer_topk.h"

#include "support/every_kernel.h"
#include "support/poison.h"

using namespace support;

TEST(IndexerTopk, AgreesWithTheOracle) {
  judge_every_kernel(
      DSA_OP_INDEXER_TOPK, 1500,
      [](uint64_t seed) {
        auto c = draw_indexer_topk(seed);
        poison_unread(c->d);
        return c;
      },
      [](const IndexerTopkCase& c, const Kernel& kernel) {
        return oracle::check_indexer_topk(c.d, kernel.product_unit(c.d));
      });
}
