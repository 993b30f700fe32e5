// Key rows as the tensor-core kernels copy them into a tile: up to three parts after each other
// (both pieces of a key, a value that lies apart), each adjacent and in 16-byte units.
#pragma once

#include "cuda/attention/division.h"
#include "cuda/kernel.h"

namespace dsa::cuda {

// A row of KV_FP8_656: 512 e4m3 elements, 4 scales, 64 elements of bf16.
constexpr int32_t kFp8Columns = 512, kFp8Groups = 4, kFp8RopeColumns = 64;
constexpr int32_t kFp8ScaleOffset = 512, kFp8RopeOffset = 528, kFp8RowBytes = 656;  // bytes

enum class RowFormat { kBf16, kF16, kFp8_656 };

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

struct KeyRows {
  ScopeRow scope[2];
  int32_t bytes = 0;      // of a row in a tile: the longest scope's, to whole steps
  int32_t key_steps = 0;  // of 16 columns, all pieces
};

// Why these kernels cannot do the call, or nullptr; the format where they can.
const char* key_rows_refuse(const SparseAttnParams& p);
// Whether q's rows are adjacent elements that start at multiples of `bytes`.
bool query_in_units(const SparseAttnParams& p, int64_t bytes);
RowFormat row_format(const SparseAttnParams& p);
KeyRows key_rows(const SparseAttnParams& p);

// Where every entry of a call's list is a number that says at once where the key lies (positions
// in a cache of rows that are all visible, slots that number a cache's rows), there is a way to the
// keys without selections, tables and pages, a tenth as long. `data` is nullptr for other calls.
struct LinearKeys {
  const char* data = nullptr;
  int64_t stride = 0;  // bytes
  uint32_t limit = 0;  // numbers are below it
};
LinearKeys linear_keys(const SparseAttnParams& p);

#if defined(__CUDACC__)
// The entries of a linear call's row that may hold keys: a list of i32 `step` bytes apart.
struct LinearList {
  const char* data;
  int64_t step;
  int64_t size;

  __device__ LinearList(const SparseAttnParams& p, int64_t t) {
    const AttnScope& scope = p.scope[0];
    data = scope.indices.data + t * scope.indices.row_stride;
    step = scope.indices.stride[0] * 4;
    size = scope.k;
    if (!scope.counts.given()) return;
    const char* const count = scope.counts.data + t * scope.counts.row_stride;
    size = clamp64(*reinterpret_cast<const int32_t*>(count), 0, size);
  }
  __device__ int32_t number(int64_t slot) const {
    return *reinterpret_cast<const int32_t*>(data + slot * step);
  }
};

__device__ inline const char* linear_row(const LinearKeys& keys, int32_t number) {
  return static_cast<uint32_t>(number) < keys.limit ? keys.data + number * keys.stride : nullptr;
}
#endif

}  // namespace dsa::cuda
