// Scores of keys that a row must not see.
#pragma once

#include "cpu/indexer/walk.h"

namespace dsa::cpu {

// scores [high - low] of row t, for keys [low, high) of a panel: `hidden` where the block table or
// the mask hides the key.
void hide_scores(const IndexerParams& p, int64_t t, const RowSpan& span, int32_t low, int32_t high,
                 const KeyPanel& panel, float hidden, float* scores);

}  // namespace dsa::cpu
