// Scratch memory of calls that brought none: blocks that are lent, given back and kept.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "dsa.h"

namespace dsa {

inline constexpr uint64_t kWorkspaceAlignment = 256;

class WorkspacePool {
 public:
  WorkspacePool(dsa_allocate allocate, dsa_release release, void* user);
  ~WorkspacePool();
  WorkspacePool(const WorkspacePool&) = delete;
  WorkspacePool& operator=(const WorkspacePool&) = delete;

  // A block for the life of this object; nothing for 0 bytes. Throws DSA_ERROR_NO_MEMORY.
  class Lease {
   public:
    Lease() = default;
    Lease(WorkspacePool& pool, uint64_t bytes);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    char* data() const { return data_; }

   private:
    WorkspacePool* pool_ = nullptr;
    char* data_ = nullptr;
  };

 private:
  struct Block {
    char* data;
    uint64_t bytes;
    bool lent;
  };
  char* lend(uint64_t bytes);
  void take_back(char* data);

  dsa_allocate allocate_;
  dsa_release release_;
  void* user_;
  std::mutex mutex_;
  std::vector<Block> blocks_;
};

}  // namespace dsa
