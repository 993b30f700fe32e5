#include "score.h"

#include <algorithm>
#include <numeric>

#include "layers.h"

namespace tinylm {

double Score::mean(int64_t positions) const {
  return std::accumulate(losses.begin(), losses.begin() + positions, 0.0) /
         static_cast<double>(positions);
}

Score score(const Config &config, Transformer &transformer, KvCache &cache,
            std::span<const uint8_t> text, const Report &report) {
  const size_t positions = text.size() - 1;
  const auto vocab = static_cast<size_t>(config.vocab);
  Score result;
  result.logits.resize(positions * vocab);
  result.losses.resize(positions);

  const Clock::time_point start = Clock::now();
  transformer.forward(text.first(positions), cache, result.logits.data(), result.times, report);
  for (size_t i = 0; i < positions; ++i) {
    result.losses[i] = next_byte_loss(config.vocab, result.logits.data() + i * vocab, text[i + 1]);
  }
  result.seconds = seconds_since(start);
  return result;
}

double decode_difference(const Config &config, Transformer &transformer, KvCache &cache,
                         std::span<const uint8_t> text, int64_t first, const Score &batch) {
  const auto positions = static_cast<int64_t>(batch.losses.size());
  std::vector<float> logits(static_cast<size_t>(config.vocab));
  StageTimes times;
  double most = 0;
  cache.truncate(first);
  for (int64_t i = first; i < positions; ++i) {
    transformer.forward(text.subspan(static_cast<size_t>(i), 1), cache, logits.data(), times);
    most = std::max(
        most, max_difference(config.vocab, logits.data(), batch.logits.data() + i * config.vocab));
  }
  return most;
}

}  // namespace tinylm
