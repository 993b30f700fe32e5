// dsa_sparse_attn against the oracle: random calls on every kernel, NaN in all keys that no row
// selects.
#include "oracle/attention.h"
#include "support/every_kernel.h"
#include "support/poison.h"

using namespace support;

TEST(SparseAttn, AgreesWithTheOracle) {
  judge_every_kernel(
      DSA_OP_SPARSE_ATTN, 1500,
      [](uint64_t seed) {
        auto c = draw_sparse_attn(seed);
        poison_unread(c->d);
        return c;
      },
      [](const SparseAttnCase& c, const Kernel& kernel) {
        return oracle::check_sparse_attn(c.d, kernel.p_unit());
      });
}
