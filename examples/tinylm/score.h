#pragma once
// Batch scoring: the loss of every byte of a text, given those before it.

#include <cstdint>
#include <span>
#include <vector>

#include "kv_cache.h"
#include "stage_times.h"
#include "transformer.h"

namespace tinylm {

struct Score {
  std::vector<float> losses;  // [positions] nats: position i predicts byte i + 1
  std::vector<float> logits;  // [positions, vocab]
  StageTimes times;
  double seconds = 0;

  double mean(int64_t positions) const;
  double mean() const { return mean(static_cast<int64_t>(losses.size())); }
};

// Scores text.size() - 1 positions into an empty cache, which then holds them.
Score score(const Config &config, Transformer &transformer, KvCache &cache,
            std::span<const uint8_t> text, const Report &report);

// Reads the positions from `first` on again, byte by byte through the cache that score() filled,
// and returns the largest difference of a logit to the batch's.
double decode_difference(const Config &config, Transformer &transformer, KvCache &cache,
                         std::span<const uint8_t> text, int64_t first, const Score &batch);

}  // namespace tinylm
