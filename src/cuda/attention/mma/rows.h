// Key rows as the producer copies them into a tile: up to three parts after each other (both pieces
// of a key, a value that lies apart), each adjacent and in 16-byte units.
#pragma once

#include "cuda/attention/division.h"
#include "cuda/kernel.h"

namespace dsa::cuda {

enum class MmaFormat { kBf16, kF16, kFp8_656 };

struct RowPart {
  KeyTensor tensor;
  int32_t bytes = 0;
  int32_t offset = 0;  // in the tile's row
};

struct ScopeRow {
  RowPart part[3];
  int32_t parts = 0;
  int32_t bytes = 0;         // of all parts
  int32_t value_offset = 0;  // of V in the tile's row
  int32_t heads_of_kv = 1;   // query heads that read one KV head
};

struct MmaCall {
  ScopeRow scope[2];
  int32_t pitch = 0;  // bytes from one key of a tile to the next: an odd multiple of 16
  int32_t stages = 0;
  int32_t key_steps = 0;  // of 16 columns, all pieces
  bool padded = false;    // the last of them has columns that no key fills
};

// Why these kernels cannot do the call, or nullptr; the format where they can.
const char* mma_refuse(const SparseAttnParams& p);
MmaFormat mma_format(const SparseAttnParams& p);

// Rows and pitch; stages are left to the launch.
MmaCall mma_rows(const SparseAttnParams& p);

}  // namespace dsa::cuda
