#include "cuda/indexer/indexer.h"

#include <cmath>

namespace dsa::cuda {

ScoreCall make_score_call(const IndexerParams& p) {
  ScoreCall call;
  call.p = p;
  call.row_count = p.rows.count;
  call.from_begin = p.rows.columns_from_begin;
  call.fill = !p.keep_invisible;
  call.hidden = -INFINITY;
  call.keep_hidden = p.keep_invisible;
  return call;
}

}  // namespace dsa::cuda
