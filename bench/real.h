// Index queries, keys and weights of a trained model (tests/data/layer3_index_kv_4096.safetensors):
// the scores that an indexer really makes, with its plateaus. Random normal scores flatter a top-k.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "array.h"

namespace bench {

struct RealIndexer {
  static constexpr int64_t kTokens = 4096, kHeads = 8, kDim = 64;
  std::vector<float> q;  // [4096, 8, 64]
  std::vector<float> k;  // [4096, 64]
  std::vector<float> w;  // [4096, 8]
};

// Read once; throws std::exception with one line when the file is missing or damaged.
const RealIndexer& real_indexer(const std::string& path);

// A row is scores of late queries (which see all 4096 keys). Longer rows are several queries'
// scores one after the other: there are no more keys, and repeated scores would be ties that no
// model has.
void fill_real_scores(Array& scores, const std::string& path);

}  // namespace bench
