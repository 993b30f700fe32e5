// How few long rows are divided among blocks.
#pragma once

#include <algorithm>

#include "cuda/topk/form.h"

namespace dsa::cuda::topk {

inline constexpr int64_t kSplitRows = 66;  // more rows are a block each
inline constexpr int64_t kSmallestPart = 8192;
inline constexpr int64_t kLongestUndivided = 32768;  // kRegisters is quicker: 11 us against 13
inline constexpr int64_t kMostParts = 160;           // of all rows
inline constexpr int64_t kPartsOfRow = 32;
inline constexpr uint64_t kPartBytes = 49408;  // a full list and its head, in 256s

// Parts of a row, were it alone.
inline int64_t most_parts(const TopkCall& c) {
  return std::clamp<int64_t>(c.p.rows.max_length() / kSmallestPart, 1, kPartsOfRow);
}
inline int64_t parts_of_row(const TopkCall& c) {
  return std::clamp<int64_t>(kMostParts / std::max<int64_t>(c.row_count, 1), 1, most_parts(c));
}

// Bounds rows * parts_of_row from above and grows with both extents.
inline uint64_t split_workspace(const TopkCall& c, int32_t) {
  if (c.p.rows.max_length() <= kLongestUndivided) return 0;
  return static_cast<uint64_t>(std::min(c.row_count * most_parts(c), kMostParts)) * kPartBytes;
}

}  // namespace dsa::cuda::topk
