// Key caches: where the key at a position (or in a slot) of a request lies. The only place that
// knows layouts, pages and tables. Packed formats are dissolved into plain tensors before this
// (src/core/keys.cpp), so kernels see addresses, dtypes and sizes.
#pragma once

#include "core/rows.h"

namespace dsa {

// A key's place on the (outer, inner) axes that all tensors of one cache share: (0, s) of rows,
// (request, s) of a batch, (page, row in page) of pages.
struct KeyPlace {
  int64_t outer;
  int64_t inner;
};

// The key axis of a cache.
struct KeyAxis {
  int32_t layout = DSA_LAYOUT_ROWS;
  int64_t outer = 1;                 // pages, or B
  int64_t inner = 0;                 // page_size, or S
  int64_t capacity = 0;              // positions a request can have
  const char* table = nullptr;       // i32 [B, max_pages]
  int64_t table_request_stride = 0;  // bytes
  int64_t table_page_stride = 0;     // bytes
  int64_t slot_page_size = 1;
  int64_t slot_page_stride = 1;

  // Position s in [0, capacity) of a request; false when the table points outside the cache.
  DSA_HOST_DEVICE bool place(int32_t request, int64_t s, KeyPlace& out) const {
    if (layout == DSA_LAYOUT_PAGES) {
      const int64_t page = *reinterpret_cast<const int32_t*>(
          table + request * table_request_stride + (s / inner) * table_page_stride);
      out = {page, s % inner};
      return page >= 0 && page < outer;
    }
    out = {layout == DSA_LAYOUT_BATCH ? request : 0, s};
    return true;
  }

  // A physical slot as dsa_topk writes it; false when it lies outside the cache.
  DSA_HOST_DEVICE bool place_slot(int32_t slot, KeyPlace& out) const {
    if (slot < 0) return false;
    const int64_t page = slot / slot_page_stride;
    const int64_t row = slot % slot_page_stride;
    if (row >= slot_page_size) return false;
    if (layout == DSA_LAYOUT_PAGES) {
      out = {page, row};
      return page < outer;
    }
    out = {0, page * slot_page_size + row};
    return out.inner < inner;
  }
};

// One tensor of a cache: [outer, inner, (heads,) width].
struct KeyTensor {
  const char* data = nullptr;
  int32_t dtype = 0;  // 0: not given
  int32_t width = 0;  // elements: D of this piece, Dv, or scale groups
  int32_t heads = 1;
  int64_t outer_stride = 0;    // bytes
  int64_t inner_stride = 0;    // bytes
  int64_t head_stride = 0;     // bytes
  int64_t element_stride = 1;  // elements

  DSA_HOST_DEVICE bool given() const { return dtype != 0; }
  DSA_HOST_DEVICE const char* at(KeyPlace place, int32_t head = 0) const {
    return data + place.outer * outer_stride + place.inner * inner_stride + head * head_stride;
  }
};

// Key rows with their scales. `scale.width` is the number of groups (element d is scaled by group
// d / (values.width / groups)); a scale for all keys has zero strides.
struct KeyPiece {
  KeyTensor values;
  KeyTensor scale;  // f32; not given: 1
};

}  // namespace dsa
