// dsa_indexer_topk against the oracle, and against dsa_indexer followed by dsa_topk.
#include "oracle/indexer_topk.h"

#include "support/every_kernel.h"

using namespace support;

TEST(IndexerTopk, AgreesWithTheOracle) {
  judge_every_kernel(
      DSA_OP_INDEXER_TOPK, 1500, draw_indexer_topk,
      [](const IndexerTopkCase& c, const Kernel&) { return oracle::check_indexer_topk(c.d); });
}
