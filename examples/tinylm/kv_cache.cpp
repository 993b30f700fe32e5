#include "kv_cache.h"

namespace tinylm {

KvCache::KvCache(Compute &compute, const Config &config, int32_t dtype, int64_t capacity)
    : capacity_(capacity) {
  for (int i = 0; i < config.n_layers; ++i) {
    layers_.push_back(
        LayerCache{.kv = TypedRows(compute, dtype, capacity, config.kv_dim()),
                   .index_keys = TypedRows(compute, dtype, capacity, config.index_dim)});
  }
}

}  // namespace tinylm
