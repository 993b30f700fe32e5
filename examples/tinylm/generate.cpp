#include "generate.h"

#include "layers.h"
#include "stage_times.h"

namespace tinylm {

Generation generate(const Config &config, Transformer &transformer, KvCache &cache,
                    std::span<const uint8_t> prompt, int64_t count, const Report &report,
                    const std::function<void(uint8_t)> &emit) {
  const auto vocab = static_cast<size_t>(config.vocab);
  Generation result;
  result.text.assign(prompt.begin(), prompt.end());
  result.prompt_bytes = static_cast<int64_t>(prompt.size());
  StageTimes times;

  Clock::time_point start = Clock::now();
  std::vector<float> logits(prompt.size() * vocab);
  transformer.forward(prompt, cache, logits.data(), times, report);
  logits.erase(logits.begin(), logits.end() - config.vocab);
  result.prompt_seconds = seconds_since(start);

  start = Clock::now();
  for (int64_t i = 0; i < count; ++i) {
    const auto next = static_cast<uint8_t>(argmax(config.vocab, logits.data()));
    result.logits.insert(result.logits.end(), logits.begin(), logits.end());
    result.text.push_back(next);
    emit(next);
    if (i + 1 < count) {
      transformer.forward(std::span(result.text).last(1), cache, logits.data(), times);
    }
  }
  result.decode_seconds = seconds_since(start);
  return result;
}

double batch_difference(const Config &config, Transformer &transformer, KvCache &empty_cache,
                        const Generation &generation) {
  const size_t positions = generation.text.size() - 1;
  std::vector<float> logits(positions * static_cast<size_t>(config.vocab));
  StageTimes times;
  transformer.forward(std::span(generation.text).first(positions), empty_cache, logits.data(),
                      times);
  return max_difference(generation.generated() * config.vocab, generation.logits.data(),
                        logits.data() + (generation.prompt_bytes - 1) * config.vocab);
}

}  // namespace tinylm
