#include "core/workspace.h"

#include <cinttypes>
#include <cstdlib>

#include "core/error.h"

namespace dsa {
namespace {

void* default_allocate(void*, uint64_t bytes, uint64_t alignment) {
  return std::aligned_alloc(alignment, bytes);
}

void default_release(void*, void* memory, uint64_t) { std::free(memory); }

}  // namespace

WorkspacePool::WorkspacePool(dsa_allocate allocate, dsa_release release, void* user)
    : allocate_(allocate ? allocate : default_allocate),
      release_(release ? release : default_release),
      user_(user) {}

WorkspacePool::~WorkspacePool() {
  for (const Block& b : blocks_) release_(user_, b.data, b.bytes);
}

char* WorkspacePool::lend(uint64_t bytes) {
  bytes = (bytes + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment;
  std::lock_guard<std::mutex> lock(mutex_);
  Block* fits = nullptr;
  Block* free_block = nullptr;
  for (Block& b : blocks_) {
    if (b.lent) continue;
    free_block = &b;
    if (b.bytes >= bytes && (!fits || b.bytes < fits->bytes)) fits = &b;
  }
  if (!fits) {
    char* data = static_cast<char*>(allocate_(user_, bytes, kWorkspaceAlignment));
    if (!data)
      fail(DSA_ERROR_NO_MEMORY, "a workspace of %" PRIu64 " bytes could not be had", bytes);
    // A free block that is too small makes way, so that a growing caller holds one block, not many.
    if (free_block) {
      release_(user_, free_block->data, free_block->bytes);
      *free_block = {data, bytes, false};
      fits = free_block;
    } else {
      try {
        blocks_.push_back({data, bytes, false});
      } catch (...) {
        release_(user_, data, bytes);
        throw;
      }
      fits = &blocks_.back();
    }
  }
  fits->lent = true;
  return fits->data;
}

void WorkspacePool::take_back(char* data) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (Block& b : blocks_) {
    if (b.data == data) b.lent = false;
  }
}

WorkspacePool::Lease::Lease(WorkspacePool& pool, uint64_t bytes)
    : pool_(&pool), data_(bytes ? pool.lend(bytes) : nullptr) {}

WorkspacePool::Lease::~Lease() {
  if (data_) pool_->take_back(data_);
}

}  // namespace dsa
