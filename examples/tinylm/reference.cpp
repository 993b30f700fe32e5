#include "reference.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "layers.h"
#include "safetensors.h"

namespace tinylm {

constexpr int64_t kPositions = 4096;

double Reference::mean(int64_t positions) const {
  return std::accumulate(losses.begin(), losses.begin() + positions, 0.0) /
         static_cast<double>(positions);
}

std::optional<Reference> load_reference(const std::filesystem::path &folder, int vocab) {
  const std::filesystem::path path = folder / "reference_4096.safetensors";
  if (!std::filesystem::exists(path)) return std::nullopt;
  const Safetensors file = Safetensors::read(path);
  return Reference{.losses = file.floats("nll", std::vector{kPositions}),
                   .last_logits = file.floats("last_logits", std::vector{int64_t{vocab}})};
}

Tolerance tolerance(int32_t dtype) {
  if (dtype == DSA_F32) return {.mean_loss = 1e-4, .decode_logits = 1e-4};
  return {.mean_loss = 2e-2, .decode_logits = 0.2};
}

Comparison compare(const Score &score, const Reference &reference, int64_t positions) {
  Comparison result;
  for (size_t i = 0; i < static_cast<size_t>(positions); ++i) {
    const double difference = std::fabs(score.losses[i] - reference.losses[i]);
    result.mean += difference / static_cast<double>(positions);
    result.most = std::max(result.most, difference);
  }
  if (positions == kPositions) {
    const auto vocab = static_cast<int64_t>(reference.last_logits.size());
    result.last_logits = max_difference(vocab, score.logits.data() + (positions - 1) * vocab,
                                        reference.last_logits.data());
  }
  return result;
}

}  // namespace tinylm
