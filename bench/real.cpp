#include "real.h"

#include <safetensors.h>

#include <algorithm>
#include <array>
#include <map>

#include "team.h"

namespace bench {

const RealIndexer& real_indexer(const std::string& path) {
  static std::map<std::string, RealIndexer> loaded;
  const auto found = loaded.find(path);
  if (found != loaded.end()) return found->second;
  using R = RealIndexer;
  const auto file = tinylm::Safetensors::read(path);
  RealIndexer real;
  real.q = file.floats("index_q", std::array<int64_t, 3>{R::kTokens, R::kHeads, R::kDim});
  real.k = file.floats("index_k", std::array<int64_t, 2>{R::kTokens, R::kDim});
  real.w = file.floats("index_w", std::array<int64_t, 2>{R::kTokens, R::kHeads});
  return loaded.emplace(path, std::move(real)).first->second;
}

void fill_real_scores(Array& scores, const std::string& path) {
  using R = RealIndexer;
  const RealIndexer& real = real_indexer(path);
  const int64_t rows = scores.extent(0), n = scores.extent(1);

  // More rows than this repeat: the scores of the last 1024 queries take 4.3 GFLOP to make.
  constexpr int64_t kQueries = 1024;
  const int64_t chunks = (n + R::kTokens - 1) / R::kTokens;
  const int64_t made = std::min<int64_t>(kQueries, rows * chunks);
  Array table(DSA_F32, {made, R::kTokens});
  float* out = table.data<float>();
  for_pieces(made, 1, [&](int64_t i, int64_t) {
    const int64_t t = R::kTokens - 1 - i;
    for (int64_t s = 0; s < R::kTokens; ++s) {
      float score = 0;
      for (int64_t h = 0; h < R::kHeads; ++h) {
        const float* q = &real.q[size_t((t * R::kHeads + h) * R::kDim)];
        const float* k = &real.k[size_t(s * R::kDim)];
        float parts[8] = {};
        for (int64_t d = 0; d < R::kDim; d += 8) {
          for (int64_t j = 0; j < 8; ++j) parts[j] += q[d + j] * k[d + j];
        }
        float dot = 0;
        for (const float part : parts) dot += part;
        score += real.w[size_t(t * R::kHeads + h)] * std::max(dot, 0.0f);
      }
      out[i * R::kTokens + s] = score;
    }
  });
  for_pieces(rows, 1, [&](int64_t row, int64_t) {
    for (int64_t j = 0; j < n; ++j) {
      const int64_t query = (row * chunks + j / R::kTokens) % made;
      scores.set(row * n + j, out[query * R::kTokens + j % R::kTokens]);
    }
  });
}

}  // namespace bench
