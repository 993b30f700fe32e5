// dsa_merge_lse against the oracle.
#include "oracle/attention.h"
#include "support/every_kernel.h"

using namespace support;

TEST(MergeLse, AgreesWithTheOracle) {
  judge_every_kernel(
      DSA_OP_MERGE_LSE, 3000, draw_merge_lse,
      [](const MergeLseCase& c, const Kernel&) { return oracle::check_merge_lse(c.d); });
}
