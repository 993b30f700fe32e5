// What kernels are given: checked, resolved parameters of each operation. Plain data.
#pragma once

#include "core/keys.h"
#include "core/rows.h"

namespace dsa {

// Which keys to select, and where to write them. Section 7 of dsa.h.
struct SelectParams {
  int32_t k = 0;
  int32_t order = DSA_ORDER_INDEX;
  int32_t ties = DSA_TIES_SMALLER_INDEX;
  bool select_neg_inf = false;
  RowTensor index_base;  // [T] i32
  // slots: slot_table[r][s / slot_page_size] * slot_page_stride + s % slot_page_size
  const char* slot_table = nullptr;  // i32 [B, slot_table_pages]
  int64_t slot_table_pages = 0;
  int64_t slot_table_request_stride = 0;  // bytes
  int64_t slot_table_page_stride = 0;     // bytes
  int32_t slot_page_size = 1;
  int32_t slot_page_stride = 1;
  RowTensor hint_indices;  // [T, any] i32
  RowTensor hint_bound;    // [T] f32
  // Outputs; extent[0] is the width (>= k).
  RowTensor indices, slots, values;
  RowTensor counts, cut_score, cut_index;  // [T]

  DSA_HOST_DEVICE bool cut_only() const {
    return !indices.given() && !slots.given() && !values.given();
  }
  // How key s of a row is written, and the inverse: 32-bit wrap-around arithmetic.
  DSA_HOST_DEVICE int32_t to_index(int64_t t, const RowSpan& span, int32_t s) const {
    if (!index_base.given()) return s;
    const uint32_t base = static_cast<uint32_t>(*index_base.row_as<const int32_t>(t));
    return static_cast<int32_t>(static_cast<uint32_t>(s) - static_cast<uint32_t>(span.begin) +
                                base);
  }
  DSA_HOST_DEVICE int32_t from_index(int64_t t, const RowSpan& span, int32_t index) const {
    if (!index_base.given()) return index;
    const uint32_t base = static_cast<uint32_t>(*index_base.row_as<const int32_t>(t));
    return static_cast<int32_t>(static_cast<uint32_t>(index) - base +
                                static_cast<uint32_t>(span.begin));
  }
  // Slot of key s of a request; -1 past the table's end or where it does not fit an int32.
  DSA_HOST_DEVICE int32_t to_slot(int32_t request, int32_t s) const {
    const int64_t page = s / slot_page_size;
    if (page >= slot_table_pages) return -1;
    const int64_t entry = *reinterpret_cast<const int32_t*>(
        slot_table + request * slot_table_request_stride + page * slot_table_page_stride);
    const int64_t slot = entry * slot_page_stride + s % slot_page_size;
    return entry < 0 || slot > INT32_MAX ? -1 : static_cast<int32_t>(slot);
  }
};

struct TopkParams {
  static constexpr int32_t kOperation = DSA_OP_TOPK;
  Rows rows;
  RowTensor scores;  // [T, columns]
  SelectParams select;
};

struct IndexerParams {
  static constexpr int32_t kOperation = DSA_OP_INDEXER;
  Rows rows;
  KeyAxis axis;
  KeyPiece keys;      // [S, Di], scale of one group
  int32_t heads = 0;  // Hi
  int32_t dim = 0;    // Di
  bool relu = true;
  bool keep_invisible = false;
  RowTensor q;        // [T, Hi, Di]
  RowTensor w;        // [T, Hi]; not given: 1
  RowTensor q_scale;  // [T, Hi] (a [1] scale has zero strides); not given: 1
  RowTensor scores;   // out [T, columns]; not given inside indexer_topk
};

struct IndexerTopkParams {
  static constexpr int32_t kOperation = DSA_OP_INDEXER_TOPK;
  IndexerParams indexer;
  SelectParams select;
};

// One cache of an attention call and the keys of it that each row selects.
struct AttnScope {
  KeyAxis axis;
  // The logit is the sum of the products of pieces: kv and kv2, or the two parts of a packed row.
  KeyPiece piece[2];
  int32_t pieces = 0;
  KeyPiece value;  // V; for MLA the first piece's own first Dv elements (value.values.data equal)
  int32_t kv_heads = 1;
  Rows rows;  // visibility inside this scope
  int32_t selection = DSA_SELECTION_INDICES;
  int32_t k = 0;
  int32_t index_block = 1;
  bool block_tail = false;
  bool select_neg_inf = false;
  RowTensor indices;               // [T, >= k] i32
  RowTensor counts;                // [T] i32
  RowTensor index_base;            // [T] i32
  RowTensor scores;                // [T, columns]: cut
  RowTensor cut_score, cut_index;  // [T]

  // Most entries that a row can select: known on the host.
  DSA_HOST_DEVICE int64_t max_selected() const {
    if (selection == DSA_SELECTION_ALL) return rows.max_length();
    const int64_t tail = block_tail ? index_block - 1 : 0;
    return static_cast<int64_t>(k) * index_block + tail;
  }
};

struct SparseAttnParams {
  static constexpr int32_t kOperation = DSA_OP_SPARSE_ATTN;
  int64_t rows = 0;  // T
  // Of a part of a call, CUDA only: rows [first_row, first_row + rows), numbered as in the whole
  // call.
  int64_t first_row = 0;
  int32_t heads = 0;
  int32_t value_dim = 0;  // Dv; 0 when out is absent
  float scale = 0;
  AttnScope scope[2];
  int32_t scopes = 1;
  // Query parts that go with piece[0] and piece[1] of every scope. A packed KV row splits q.
  RowTensor q[2];     // [T, H, piece width]
  RowTensor q_scale;  // [T, H]; of q[0], and of q[1] where the split came from one q
  bool q_scale_second = false;
  const char* sink = nullptr;  // f32 [H]
  int64_t sink_stride = 0;     // bytes
  bool lse_base2 = false;
  bool lse_with_sink = false;
  bool lse_empty_pos_inf = false;
  RowTensor out;       // [T, H, Dv]
  RowTensor lse, max;  // [T, H]
};

struct MergeLseParams {
  static constexpr int32_t kOperation = DSA_OP_MERGE_LSE;
  int64_t parts = 0;  // P
  int64_t rows = 0;   // T
  int32_t heads = 0;
  int32_t value_dim = 0;
  // Views of part 0; part p lies p strides further.
  RowTensor partial_out, partial_lse, partial_max;
  int64_t out_part_stride = 0;  // bytes
  int64_t lse_part_stride = 0;
  int64_t max_part_stride = 0;
  const char* sink = nullptr;
  int64_t sink_stride = 0;
  bool lse_base2 = false;
  bool lse_with_sink = false;
  bool lse_empty_pos_inf = false;
  RowTensor out, lse, max;
};

}  // namespace dsa
