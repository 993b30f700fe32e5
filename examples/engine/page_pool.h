#pragma once
// Pages of one cache, lent to requests. Shared by all workers.

#include <cstdint>
#include <mutex>
#include <vector>

namespace engine {

class PagePool {
 public:
  PagePool(int pages, int page_size);

  int page_size() const { return page_size_; }
  int pages_for(int tokens) const { return (tokens + page_size_ - 1) / page_size_; }

  // Writes the numbers of `count` pages to `table`, or takes none and says false.
  bool take(int count, int32_t *table);
  void give_back(int count, const int32_t *table);

  bool all_free() const;

 private:
  int pages_, page_size_;
  mutable std::mutex mutex_;
  std::vector<int32_t> free_;  // the page given back last goes out first: tables become scattered
};

}  // namespace engine
