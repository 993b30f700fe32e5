#pragma once
// Greedy continuation of a prompt, one byte at a time through the KV cache.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kv_cache.h"
#include "transformer.h"

namespace tinylm {

struct Generation {
  std::vector<uint8_t> text;  // the prompt and what follows it
  int64_t prompt_bytes = 0;
  std::vector<float> logits;  // [generated, vocab]: those that each byte was chosen by
  double prompt_seconds = 0;
  double decode_seconds = 0;

  int64_t generated() const { return static_cast<int64_t>(text.size()) - prompt_bytes; }
};

// `emit` gets each byte as it comes. The cache must be empty and hold prompt + count positions.
Generation generate(const Config &config, Transformer &transformer, KvCache &cache,
                    std::span<const uint8_t> prompt, int64_t count, const Report &report,
                    const std::function<void(uint8_t)> &emit);

// The largest difference of a logit that chose a byte to those of one pass over the whole text.
double batch_difference(const Config &config, Transformer &transformer, KvCache &empty_cache,
                        const Generation &generation);

}  // namespace tinylm
