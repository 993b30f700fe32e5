#include "indexer_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "real.h"
#include "team.h"

namespace bench {
namespace {

float key_scale(int64_t s) { return 0.5f + float(s % 7) / 7; }

int64_t requests(const IndexerCase& c) { return std::max<int64_t>(c.batch, 1); }

}  // namespace

IndexerInputs::IndexerInputs(const Setup& setup, const IndexerCase& c) {
  const uint64_t seed = setup.settings.seed;
  q = Array(c.q_dtype, {c.queries, c.heads, c.dim});
  w = Array(DSA_F32, {c.queries, c.heads});
  const int64_t all = requests(c) * c.keys;
  Array plain(c.key_dtype, {all, c.dim});
  if (c.pattern == Pattern::kReal) {
    fill_real(setup, c, plain);
  } else {
    fill_normal(q, seed);
    fill_normal(plain, seed + 1);
    fill_normal(w, seed + 2, 1 / std::sqrt(float(c.heads * c.dim)));
  }
  if (c.packed) {
    pack(c, plain);
  } else {
    keys = std::move(plain);
    if (c.key_dtype == DSA_F8_E4M3FN) {
      k_scale = Array(DSA_F32, {all});
      for (int64_t s = 0; s < all; ++s) k_scale.data<float>()[s] = key_scale(s);
    }
  }
  if (c.batch > 0) {
    seq_lens = Array(DSA_I32, {c.batch});
    std::fill_n(seq_lens.data<int32_t>(), c.batch, int32_t(c.keys));
  }
}

float IndexerInputs::key(const IndexerCase& c, int64_t s, int64_t d) const {
  if (!c.packed) return keys.at(s * c.dim + d) * (k_scale.given() ? key_scale(s) : 1.0f);
  const char* page = keys.data<char>() + s / kIndexerPage * keys.extent(1);
  float scale;
  std::memcpy(&scale, page + kIndexerPage * c.dim + s % kIndexerPage * 4, 4);
  return scale * decode(DSA_F8_E4M3FN, page + s % kIndexerPage * c.dim + d);
}

void IndexerInputs::fill_real(const Setup& setup, const IndexerCase& c, Array& plain) {
  const RealIndexer& real = real_indexer(setup.settings.real_path);
  if (c.heads != real.kHeads || c.dim != real.kDim || c.keys > real.kTokens ||
      c.queries > real.kTokens) {
    throw std::invalid_argument(fmt::format(
        "the real index queries and keys are {} x {} on at most {} tokens, not {} x {} on {}",
        real.kHeads, real.kDim, real.kTokens, c.heads, c.dim, std::max(c.keys, c.queries)));
  }
  const int64_t first = real.kTokens - c.queries;  // late queries see the most keys
  for (int64_t i = 0; i < q.size(); ++i) q.set(i, real.q[size_t(first * c.heads * c.dim + i)]);
  for (int64_t i = 0; i < w.size(); ++i) w.set(i, real.w[size_t(first * c.heads + i)]);
  for (int64_t i = 0; i < plain.size(); ++i) plain.set(i, real.k[size_t(i)]);
}

void IndexerInputs::pack(const IndexerCase& c, const Array& plain) {
  if (c.keys % kIndexerPage != 0) {
    throw std::invalid_argument(
        fmt::format("packed keys come in pages of {}, {} is no multiple", kIndexerPage, c.keys));
  }
  const int64_t pages = requests(c) * c.keys / kIndexerPage, bytes = kIndexerPage * (c.dim + 4);
  keys = Array(DSA_U8, {pages, bytes});
  block_table = Array(DSA_I32, {requests(c), c.keys / kIndexerPage});
  for_pieces(pages, 256, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      block_table.data<int32_t>()[p] = int32_t(p);
      char* page = keys.data<char>() + p * bytes;
      std::memcpy(page, plain.data<char>() + p * kIndexerPage * c.dim,
                  size_t(kIndexerPage * c.dim));
      for (int64_t i = 0; i < kIndexerPage; ++i) {
        const float scale = key_scale(p * kIndexerPage + i);
        std::memcpy(page + kIndexerPage * c.dim + 4 * i, &scale, 4);
      }
    }
  });
}

}  // namespace bench
