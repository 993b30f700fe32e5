#include "core/make_keys.h"

#include <cinttypes>
#include <cstdio>

#include "core/error.h"

namespace dsa {
namespace {

// Axes of a cache that come before the heads and the width.
int32_t axis_rank(int32_t layout) { return layout == DSA_LAYOUT_ROWS ? 1 : 2; }

void check_on_axis(const CacheFields& f, const char* name, const KeyAxis& axis,
                   const dsa_tensor& t) {
  const int32_t rank = axis_rank(axis.layout);
  const int64_t expected[2] = {rank == 1 ? axis.inner : axis.outer, axis.inner};
  for (int32_t i = 0; i < rank; ++i) {
    if (t.shape[i] != expected[i]) {
      fail(DSA_ERROR_INVALID, "%s.%s.shape[%d] is %" PRId64 ", the cache has %" PRId64, f.op, name,
           i, t.shape[i], expected[i]);
    }
  }
}

void set_axis_strides(KeyTensor& out, const KeyAxis& axis, const dsa_tensor& t) {
  const int32_t bytes = element_bytes(t.dtype);
  const int32_t rank = axis_rank(axis.layout);
  out.outer_stride = rank == 2 ? t.stride[0] * bytes : 0;
  out.inner_stride = t.stride[rank - 1] * bytes;
}

}  // namespace

FieldName::FieldName(const char* name, const char* suffix) {
  std::snprintf(text, sizeof text, "%s%s", name, suffix);
}

int64_t keys_batch(const char* op, const char* field, int32_t layout, const dsa_tensor& keys) {
  if (layout < DSA_LAYOUT_ROWS || layout > DSA_LAYOUT_BATCH) {
    fail(DSA_ERROR_INVALID,
         "%s: the key layout of %s is %d, must be 0 (rows), 1 (pages) or 2 (batch)", op, field,
         layout);
  }
  return layout == DSA_LAYOUT_BATCH && keys.ndim > 1 ? keys.shape[0] : 0;
}

KeyAxis make_axis(const CacheFields& f, const char* name, const dsa_tensor& keys, bool packed_pages,
                  CallKind call) {
  const dsa_tensor& table = *f.block_table;
  KeyAxis axis;
  axis.layout = f.layout;
  const int32_t rank = packed_pages ? 1 : axis_rank(f.layout);
  if (keys.ndim < rank || keys.ndim > 5) {
    fail(DSA_ERROR_INVALID, "%s.%s.ndim is %d, must be %d to %d", f.op, name, keys.ndim, rank + 1,
         rank + 2);
  }
  if (f.page_size < 0) {
    fail(DSA_ERROR_INVALID, "%s.page_size%s is %d, must be >= 0", f.op, f.suffix, f.page_size);
  }
  axis.outer = f.layout == DSA_LAYOUT_ROWS ? 1 : keys.shape[0];
  if (packed_pages) {
    if (f.page_size == 0) {
      fail(DSA_ERROR_INVALID, "%s.page_size%s is 0: a packed [pages, bytes] cache needs it", f.op,
           f.suffix);
    }
    axis.inner = f.page_size;
  } else {
    axis.inner = keys.shape[rank - 1];
    if (f.layout == DSA_LAYOUT_PAGES && f.page_size != 0 && f.page_size != axis.inner) {
      fail(DSA_ERROR_INVALID, "%s.page_size%s is %d, %s.%s.shape[1] is %" PRId64, f.op, f.suffix,
           f.page_size, f.op, name, axis.inner);
    }
  }
  axis.capacity = axis.inner;
  if (f.layout == DSA_LAYOUT_PAGES) {
    if (axis.inner <= 0) {
      fail(DSA_ERROR_INVALID, "%s.%s has pages of %" PRId64 " keys", f.op, name, axis.inner);
    }
    if (given(table)) {
      const FieldName table_name("block_table", f.suffix);
      check_tensor({f.op, table_name.text, dtype_bit(DSA_I32)}, table, 2, 2, call);
      if (table.shape[0] != f.batch) {
        fail(DSA_ERROR_INVALID, "%s.%s.shape[0] is %" PRId64 ", batch is %" PRId64, f.op,
             table_name.text, table.shape[0], f.batch);
      }
      axis.table = static_cast<const char*>(table.data);
      axis.table_request_stride = table.stride[0] * 4;
      axis.table_page_stride = table.stride[1] * 4;
      // A wider table than 2^31 positions is cut: positions are int32.
      const int64_t most = INT32_MAX / axis.inner;
      axis.capacity = (table.shape[1] < most ? table.shape[1] : most) * axis.inner;
    } else if (f.needs_table) {
      fail(DSA_ERROR_INVALID, "%s.block_table%s is needed with DSA_LAYOUT_PAGES", f.op, f.suffix);
    } else {
      axis.capacity = 0;
    }
  } else if (given(table) && f.needs_table) {
    fail(DSA_ERROR_INVALID, "%s.block_table%s is given, but the key layout is %s", f.op, f.suffix,
         f.layout == DSA_LAYOUT_ROWS ? "rows" : "batch");
  }
  if (f.layout == DSA_LAYOUT_BATCH && axis.outer != f.batch) {
    fail(DSA_ERROR_INVALID, "%s.%s.shape[0] is %" PRId64 ", batch is %" PRId64, f.op, name,
         axis.outer, f.batch);
  }
  if (axis.capacity > INT32_MAX) {
    fail(DSA_ERROR_INVALID, "%s.%s has %" PRId64 " keys, above 2^31-1", f.op, name, axis.capacity);
  }
  axis.slot_page_size = axis.slot_page_stride = f.layout == DSA_LAYOUT_PAGES ? axis.inner : 1;
  return axis;
}

KeyTensor make_key_tensor(const CacheFields& f, const char* name, const KeyAxis& axis,
                          const dsa_tensor& t, uint32_t dtypes, bool allow_heads, CallKind call) {
  const int32_t rank = axis_rank(axis.layout);
  check_tensor({f.op, name, dtypes}, t, rank + 1, rank + 1 + (allow_heads ? 1 : 0), call);
  check_on_axis(f, name, axis, t);
  KeyTensor out;
  out.data = static_cast<const char*>(t.data);
  out.dtype = t.dtype;
  const int32_t bytes = element_bytes(t.dtype);
  const int64_t width = t.shape[t.ndim - 1];
  if (width > INT32_MAX) fail(DSA_ERROR_INVALID, "%s.%s: last extent is too large", f.op, name);
  out.width = static_cast<int32_t>(width);
  out.element_stride = t.stride[t.ndim - 1];
  set_axis_strides(out, axis, t);
  if (t.ndim == rank + 2) {
    if (t.shape[rank] < 1 || t.shape[rank] > INT32_MAX) {
      fail(DSA_ERROR_INVALID, "%s.%s.shape[%d] is %" PRId64 " KV heads", f.op, name, rank,
           t.shape[rank]);
    }
    out.heads = static_cast<int32_t>(t.shape[rank]);
    out.head_stride = t.stride[rank] * bytes;
  }
  return out;
}

KeyTensor make_key_scale(const CacheFields& f, const char* name, const KeyAxis& axis,
                         const dsa_tensor& t, int32_t key_width, bool allow_groups, CallKind call) {
  KeyTensor out;
  if (!given(t)) return out;
  const int32_t rank = axis_rank(axis.layout);
  check_tensor({f.op, name, dtype_bit(DSA_F32)}, t, 1, rank + (allow_groups ? 1 : 0), call);
  out.data = static_cast<const char*>(t.data);
  out.dtype = DSA_F32;
  out.width = 1;
  if (t.ndim == 1 && t.shape[0] == 1) return out;  // one scale for all: zero strides
  if (t.ndim < rank) {
    fail(DSA_ERROR_INVALID, "%s.%s.ndim is %d, must be %d", f.op, name, t.ndim, rank);
  }
  check_on_axis(f, name, axis, t);
  set_axis_strides(out, axis, t);
  if (t.ndim == rank + 1) {
    const int64_t groups = t.shape[rank];
    if (groups < 1 || groups > key_width || key_width % groups != 0) {
      fail(DSA_ERROR_INVALID, "%s.%s.shape[%d] is %" PRId64 " groups, which must divide %d", f.op,
           name, rank, groups, key_width);
    }
    out.width = static_cast<int32_t>(groups);
    out.element_stride = t.stride[rank];
  }
  return out;
}

}  // namespace dsa
