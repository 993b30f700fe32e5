#include "page_pool.h"

#include <numeric>

namespace engine {

PagePool::PagePool(int pages, int page_size)
    : pages_(pages), page_size_(page_size), free_(static_cast<size_t>(pages)) {
  std::iota(free_.begin(), free_.end(), 0);
}

bool PagePool::take(int count, int32_t *table) {
  const std::lock_guard lock(mutex_);
  if (free_.size() < static_cast<size_t>(count)) return false;
  for (int i = 0; i < count; ++i) {
    table[i] = free_.back();
    free_.pop_back();
  }
  return true;
}

void PagePool::give_back(int count, const int32_t *table) {
  const std::lock_guard lock(mutex_);
  free_.insert(free_.end(), table, table + count);
}

bool PagePool::all_free() const {
  const std::lock_guard lock(mutex_);
  return free_.size() == static_cast<size_t>(pages_);
}

}  // namespace engine
