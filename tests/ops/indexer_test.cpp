// dsa_indexer against the oracle: random calls on every kernel, NaN in all keys that no row sees.
#include "oracle/indexer.h"

#include "support/element.h"
#include "support/every_kernel.h"
#include "support/poison.h"

using namespace support;

namespace {

// What a column holds that no one wrote.
double untouched(int32_t dtype) {
  unsigned char bytes[4];
  for (unsigned char& b : bytes) b = Arena::kUntouched;
  return oracle::number_at(bytes, dtype);
}

}  // namespace

TEST(Indexer, AgreesWithTheOracle) {
  judge_every_kernel(
      DSA_OP_INDEXER, 1500,
      [](uint64_t seed) {
        auto c = draw_indexer(seed);
        poison_unread(c->d);
        return c;
      },
      [](const IndexerCase& c, const Kernel& kernel) {
        return oracle::check_indexer(c.d, untouched(c.d.scores.dtype), kernel.product_unit(c.d));
      });
}
