#pragma once
// The trained model's own losses on its held-out text, and how near tinylm must come to them.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "score.h"

namespace tinylm {

struct Reference {
  std::vector<float> losses;       // [4096] nats, sparse attention
  std::vector<float> last_logits;  // [vocab] of the last of these positions

  double mean(int64_t positions) const;
};

// reference_4096.safetensors of the folder; none where that file is missing. Throws BadInput.
std::optional<Reference> load_reference(const std::filesystem::path &folder, int vocab);

// Allowed differences. In f32 what is left is the order of sums (measured: 2e-6 and 4e-5 on CPUs,
// 2e-6 and 3e-5 on a GPU). With bf16 queries and caches every product's factors are rounded to 8
// bits (7e-3 and 6e-2; 7e-3 and 1e-1); selected keys change places at the cut, and a cached step
// may round an element the other way than the batch did.
struct Tolerance {
  double mean_loss;      // mean |loss - reference| over the positions
  double decode_logits;  // max |cached decode - batch|
};
Tolerance tolerance(int32_t dtype);

struct Comparison {
  double mean = 0;  // |loss - reference| over the positions
  double most = 0;
  double last_logits = -1;  // max difference; -1: the last position was not scored
};
Comparison compare(const Score &score, const Reference &reference, int64_t positions);

}  // namespace tinylm
