#pragma once
// The paged caches of one layer: index keys in pages of one size, KV in pages of another, as vLLM
// has them. Requests own disjoint pages, so workers write without a lock.

#include <cstdint>
#include <vector>

#include "model.h"
#include "page_pool.h"

namespace engine {

struct Cache {
  static constexpr int kIndexPage = 64, kKvPage = 16;

  // `damaged`: every 16th key is kept wrong, which the checks must notice.
  Cache(int tokens, bool damaged)
      : index_pool(tokens / kIndexPage, kIndexPage),
        kv_pool(tokens / kKvPage, kKvPage),
        index_keys(static_cast<size_t>(tokens) * Shape::kIndexDim),
        kv(static_cast<size_t>(tokens) * Shape::kDim),
        capacity(tokens),
        damaged(damaged) {}

  void write(int token, int position, const int32_t *index_table, const int32_t *kv_table) {
    const auto index_row = static_cast<size_t>(index_table[position / kIndexPage]) * kIndexPage +
                           static_cast<size_t>(position % kIndexPage);
    const auto kv_row = static_cast<size_t>(kv_table[position / kKvPage]) * kKvPage +
                        static_cast<size_t>(position % kKvPage);
    make_key(damaged && position % 16 == 0 ? token + 1 : token, position, &kv[kv_row * Shape::kDim],
             &index_keys[index_row * Shape::kIndexDim]);
  }

  PagePool index_pool, kv_pool;
  std::vector<Bf16> index_keys;  // [pages, kIndexPage, Di]
  std::vector<Bf16> kv;          // [pages * kKvPage, D]: a slot is a row
  int capacity;                  // tokens
  bool damaged;
};

}  // namespace engine
