// A random call of each operation, from a seed: the whole of its configuration.
#pragma once

#include <memory>
#include <string>

#include "support/arena.h"

namespace support {

template <class Desc>
struct Case {
  Case(uint64_t seed, double guard) : random(seed), arena(random, guard), seed(seed) {}
  Random random;
  Arena arena;
  Desc d{};
  uint64_t seed;
};

using TopkCase = Case<dsa_topk_desc>;
using IndexerCase = Case<dsa_indexer_desc>;
using IndexerTopkCase = Case<dsa_indexer_topk_desc>;
using SparseAttnCase = Case<dsa_sparse_attn_desc>;
using MergeLseCase = Case<dsa_merge_lse_desc>;

// About a third of the seeds puts tensors against pages that fault.
std::unique_ptr<TopkCase> draw_topk(uint64_t seed);
std::unique_ptr<IndexerCase> draw_indexer(uint64_t seed);
std::unique_ptr<IndexerTopkCase> draw_indexer_topk(uint64_t seed);
std::unique_ptr<SparseAttnCase> draw_sparse_attn(uint64_t seed);
std::unique_ptr<MergeLseCase> draw_merge_lse(uint64_t seed);

// Calls with so much work that kernels divide it between threads.
std::unique_ptr<TopkCase> draw_large_topk(uint64_t seed);
std::unique_ptr<IndexerCase> draw_large_indexer(uint64_t seed);
std::unique_ptr<IndexerTopkCase> draw_large_indexer_topk(uint64_t seed);
std::unique_ptr<SparseAttnCase> draw_large_sparse_attn(uint64_t seed);

inline double guard_share(uint64_t seed) { return seed % 3 == 0 ? 0.8 : 0.0; }

// All fields that are not zero, for failure messages.
std::string describe(const dsa_topk_desc& d);
std::string describe(const dsa_indexer_desc& d);
std::string describe(const dsa_indexer_topk_desc& d);
std::string describe(const dsa_sparse_attn_desc& d);
std::string describe(const dsa_merge_lse_desc& d);

}  // namespace support
