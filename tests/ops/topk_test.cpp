// dsa_topk against the oracle: random calls on every kernel.
#include "oracle/topk.h"

#include "support/every_kernel.h"

using namespace support;

TEST(Topk, AgreesWithTheOracle) {
  judge_every_kernel(DSA_OP_TOPK, 3000, draw_topk,
                     [](const TopkCase& c, const Kernel&) { return oracle::check_topk(c.d); });
}
