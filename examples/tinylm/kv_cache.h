#pragma once
// What attention remembers of the positions read so far: per layer one row of KV (latent and
// rotated key) and one index key a position. Nothing else is kept.

#include <cstdint>
#include <vector>

#include "model.h"
#include "typed_rows.h"

namespace tinylm {

struct LayerCache {
  TypedRows kv;          // [capacity, kv_dim]
  TypedRows index_keys;  // [capacity, index_dim]
};

class KvCache {
 public:
  KvCache(Compute &compute, const Config &config, int32_t dtype, int64_t capacity);

  int64_t length() const { return length_; }
  int64_t capacity() const { return capacity_; }
  LayerCache &layer(int i) { return layers_[static_cast<size_t>(i)]; }

  // Counts rows that every layer has written behind length().
  void extend(int64_t rows) { length_ += rows; }
  // Forgets the positions from `length` on.
  void truncate(int64_t length) { length_ = length; }

 private:
  int64_t capacity_;
  int64_t length_ = 0;
  std::vector<LayerCache> layers_;
};

}  // namespace tinylm
