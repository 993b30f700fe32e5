#include "oracle/rows.h"

namespace oracle {

Cache make_cache(int32_t layout, int32_t page_size, const dsa_tensor& keys, const dsa_tensor& table,
                 bool packed) {
  Cache c;
  c.layout = layout;
  c.table = table;
  if (layout == DSA_LAYOUT_ROWS) {
    c.keys = keys.shape[0];
  } else if (layout == DSA_LAYOUT_BATCH) {
    c.keys = keys.shape[1];
  } else {
    c.pages = keys.shape[0];
    c.page_size = packed ? page_size : keys.shape[1];
    c.keys = given(table) ? table.shape[1] * c.page_size : 0;
  }
  return c;
}

std::vector<int64_t> Cache::find(int64_t request, int64_t s) const {
  if (layout == DSA_LAYOUT_ROWS) return {s};
  if (layout == DSA_LAYOUT_BATCH) return {request, s};
  const int64_t page = integer(table, {request, s / page_size});
  if (page < 0 || page >= pages) return {};
  return {page, s % page_size};
}

bool mask_hides(const dsa_tensor& mask, int64_t t, int64_t column) {
  const double v = row_number(mask, t, {column});
  switch (mask.dtype) {
    case DSA_U8:
      return v == 0;
    case DSA_F32:
      return v <= -3.4028234663852886e38;
    case DSA_F16:
      return v <= -65504.0;
    default:  // bf16
      return v <= -3.3895313892515355e38;
  }
}

}  // namespace oracle
