#include "api/attn_scope.h"

#include <cinttypes>

#include "api/descriptor.h"
#include "core/error.h"

namespace dsa {
namespace {

constexpr int32_t kMaxAttnDim = 1024;
constexpr int64_t kPackedRowBytes = 656;
constexpr int32_t kPackedScaleOffset = 512;
constexpr int32_t kPackedBf16Offset = 528;

void set_packed_656(const ScopeFields& f, AttnScope& scope, CallKind call) {
  const CacheFields& c = f.cache;
  const dsa_tensor& kv = *f.kv;
  const FieldName name("kv", c.suffix);
  const bool bytes_page = c.layout == DSA_LAYOUT_PAGES && kv.ndim == 2;
  if (given(*f.kv2) || given(*f.v) || given(*f.kv_scale) || given(*f.v_scale)) {
    fail(DSA_ERROR_INVALID, "%s: kv2%s, v%s, kv_scale%s and v_scale%s do not go with KV_FP8_656",
         c.op, c.suffix, c.suffix, c.suffix, c.suffix);
  }
  KeyTensor bytes;
  if (bytes_page) {
    check_tensor({c.op, name.text, dtype_bit(DSA_U8)}, kv, 2, 2, call);
    scope.axis = make_axis(c, name.text, kv, true, call);
    if (kv.shape[1] < scope.axis.inner * kPackedRowBytes) {
      fail(DSA_ERROR_INVALID,
           "%s.%s.shape[1] is %" PRId64 " bytes, %" PRId64 " tokens take %" PRId64, c.op, name.text,
           kv.shape[1], scope.axis.inner, scope.axis.inner * kPackedRowBytes);
    }
    bytes.data = static_cast<const char*>(kv.data);
    bytes.outer_stride = kv.stride[0];
    bytes.inner_stride = kPackedRowBytes;
    bytes.element_stride = kv.stride[1];
  } else {
    scope.axis = make_axis(c, name.text, kv, false, call);
    bytes = make_key_tensor(c, name.text, scope.axis, kv, dtype_bit(DSA_U8), false, call);
    if (bytes.width != kPackedRowBytes) {
      fail(DSA_ERROR_INVALID, "%s.%s.shape[%d] is %d, a KV_FP8_656 row has 656 bytes", c.op,
           name.text, kv.ndim - 1, bytes.width);
    }
  }
  if (bytes.element_stride != 1 || bytes.outer_stride % 4 != 0 || bytes.inner_stride % 4 != 0 ||
      reinterpret_cast<uintptr_t>(bytes.data) % 4 != 0) {
    fail(DSA_ERROR_INVALID,
         "%s.%s: bytes of a packed row must be adjacent, data and strides multiples of 4 bytes",
         c.op, name.text);
  }
  const auto part = [&bytes](int32_t offset, int32_t dtype, int32_t width) {
    KeyTensor t = bytes;
    t.data = bytes.data ? bytes.data + offset : nullptr;
    t.dtype = dtype;
    t.width = width;
    return t;
  };
  scope.piece[0].values = part(0, DSA_F8_E4M3FN, kPackedFp8Width);
  scope.piece[0].scale = part(kPackedScaleOffset, DSA_F32, 4);
  scope.piece[1].values = part(kPackedBf16Offset, DSA_BF16, kPackedBf16Width);
  scope.pieces = 2;
}

void split_plain(const CacheFields& c, AttnScope& scope, int32_t at) {
  KeyPiece& first = scope.piece[0];
  KeyPiece& second = scope.piece[1];
  const int32_t width = first.values.width;
  const int32_t groups = first.scale.given() ? first.scale.width : 1;
  const int32_t group = width / groups;
  if (at % group != 0 && groups > 1) {
    fail(DSA_ERROR_UNSUPPORTED,
         "%s.kv_scale%s: groups of %d do not end at %d, where the other scope "
         "splits its rows",
         c.op, c.suffix, group, at);
  }
  second = first;
  first.values.width = at;
  second.values.width = width - at;
  if (second.values.data) {
    second.values.data +=
        int64_t{at} * first.values.element_stride * element_bytes(first.values.dtype);
  }
  if (groups > 1) {
    first.scale.width = at / group;
    second.scale.width = (width - at) / group;
    if (second.scale.data) second.scale.data += at / group * first.scale.element_stride * 4;
  }
  scope.pieces = 2;
}

void set_plain(const ScopeFields& f, AttnScope& scope, int32_t split, CallKind call) {
  const CacheFields& c = f.cache;
  const FieldName kv("kv", c.suffix), kv2("kv2", c.suffix), scale("kv_scale", c.suffix);
  scope.axis = make_axis(c, kv.text, *f.kv, false, call);
  KeyPiece& first = scope.piece[0];
  first.values = make_key_tensor(c, kv.text, scope.axis, *f.kv, kKeyDtypes, true, call);
  first.scale =
      make_key_scale(c, scale.text, scope.axis, *f.kv_scale, first.values.width, true, call);
  scope.kv_heads = first.values.heads;
  scope.pieces = 1;
  if (given(*f.kv2)) {
    KeyPiece& second = scope.piece[1];
    second.values = make_key_tensor(c, kv2.text, scope.axis, *f.kv2, kKeyDtypes, true, call);
    if (second.values.heads != scope.kv_heads) {
      fail(DSA_ERROR_INVALID, "%s.%s has %d KV heads, %s has %d", c.op, kv2.text,
           second.values.heads, kv.text, scope.kv_heads);
    }
    scope.pieces = 2;
  } else if (split > 0 && split < first.values.width) {
    split_plain(c, scope, split);
  }
}

void set_value(const ScopeFields& f, AttnScope& scope, int32_t value_dim, CallKind call) {
  const CacheFields& c = f.cache;
  const FieldName v("v", c.suffix), scale("v_scale", c.suffix);
  if (!given(*f.v)) {
    if (given(*f.v_scale))
      fail(DSA_ERROR_INVALID, "%s.%s is given without %s", c.op, scale.text, v.text);
    scope.value = scope.piece[0];
    if (value_dim > scope.piece[0].values.width) {
      fail(DSA_ERROR_INVALID, "%s.out has a value dim of %d, the keys it is taken from have %d",
           c.op, value_dim, scope.piece[0].values.width);
    }
    return;
  }
  scope.value.values = make_key_tensor(c, v.text, scope.axis, *f.v, kKeyDtypes, true, call);
  if (scope.value.values.heads != scope.kv_heads) {
    fail(DSA_ERROR_INVALID, "%s.%s has %d KV heads, kv%s has %d", c.op, v.text,
         scope.value.values.heads, c.suffix, scope.kv_heads);
  }
  if (value_dim != 0 && scope.value.values.width != value_dim) {
    fail(DSA_ERROR_INVALID, "%s.%s has a value dim of %d, out has %d", c.op, v.text,
         scope.value.values.width, value_dim);
  }
  scope.value.scale =
      make_key_scale(c, scale.text, scope.axis, *f.v_scale, scope.value.values.width, true, call);
}

void set_slots(const ScopeFields& f, AttnScope& scope) {
  const CacheFields& c = f.cache;
  if (f.slot_page_size < 0 || f.slot_page_stride < 0) {
    fail(DSA_ERROR_INVALID, "%s.slot_page_size%s is %d and slot_page_stride%s %d, must be >= 0",
         c.op, c.suffix, f.slot_page_size, c.suffix, f.slot_page_stride);
  }
  if (c.layout == DSA_LAYOUT_BATCH) {
    fail(DSA_ERROR_INVALID, "%s: slots need a cache of rows or pages, kv%s is [B, S, ...]", c.op,
         c.suffix);
  }
  KeyAxis& axis = scope.axis;
  if (f.slot_page_size > 0) {
    if (c.layout == DSA_LAYOUT_PAGES && f.slot_page_size != axis.inner) {
      fail(DSA_ERROR_INVALID, "%s.slot_page_size%s is %d, the cache's pages have %" PRId64 " keys",
           c.op, c.suffix, f.slot_page_size, axis.inner);
    }
    axis.slot_page_size = f.slot_page_size;
  }
  axis.slot_page_stride = f.slot_page_stride > 0 ? f.slot_page_stride : axis.slot_page_size;
  if (axis.slot_page_stride < axis.slot_page_size) {
    fail(DSA_ERROR_INVALID, "%s.slot_page_stride%s is %d, below the page size %" PRId64, c.op,
         c.suffix, f.slot_page_stride, axis.slot_page_size);
  }
}

void set_selection(const ScopeFields& f, AttnScope& scope, int64_t rows, CallKind call) {
  const CacheFields& c = f.cache;
  const FieldName indices("indices", c.suffix), counts("counts", c.suffix);
  const TensorRule rule{c.op, indices.text, dtype_bit(DSA_I32)};
  scope.selection = f.selection;
  scope.k = f.k;
  if (f.selection == DSA_SELECTION_ALL) {
    if (f.k != 0) {
      fail(DSA_ERROR_INVALID, "%s.k%s is %d, must be 0 with DSA_SELECTION_ALL", c.op, c.suffix,
           f.k);
    }
  } else if (f.k < 1) {
    fail(DSA_ERROR_INVALID,
         "%s.k%s is %d, must be >= 1 (all visible keys: DSA_SELECTION_ALL with k 0)", c.op,
         c.suffix, f.k);
  }
  const bool listed = f.selection == DSA_SELECTION_INDICES || f.selection == DSA_SELECTION_SLOTS;
  if (!listed) {
    if (given(*f.indices) || given(*f.counts)) {
      fail(DSA_ERROR_INVALID, "%s.%s or %s is given, but the selection is %d", c.op, indices.text,
           counts.text, f.selection);
    }
    return;
  }
  if (!given(*f.indices)) {
    fail(DSA_ERROR_INVALID, "%s.%s is needed with selection %d", c.op, indices.text, f.selection);
  }
  if (f.indices->ndim == 3 && f.indices->shape[0] == rows &&
      f.indices->shape[0] * f.indices->shape[1] != rows) {
    fail(DSA_ERROR_UNSUPPORTED, "%s.%s [T, Hkv, k]: a selection per KV head is reserved", c.op,
         indices.text);
  }
  scope.indices = row_tensor(rule, *f.indices, 1, rows, call);
  if (scope.indices.extent[0] < f.k) {
    fail(DSA_ERROR_INVALID, "%s.%s.shape[%d] is %" PRId64 ", k%s is %d", c.op, indices.text,
         f.indices->ndim - 1, scope.indices.extent[0], c.suffix, f.k);
  }
  scope.counts = row_tensor({c.op, counts.text, dtype_bit(DSA_I32)}, *f.counts, 0, rows, call);
  if (f.selection == DSA_SELECTION_SLOTS) set_slots(f, scope);
}

}  // namespace

AttnScope make_scope(const ScopeFields& f, int64_t rows, int32_t heads, int32_t value_dim,
                     int32_t split, CallKind call) {
  const CacheFields& c = f.cache;
  AttnScope scope;
  if (f.key_format == DSA_FORMAT_KV_FP8_656) {
    set_packed_656(f, scope, call);
  } else if (f.key_format == DSA_FORMAT_PLAIN) {
    set_plain(f, scope, split, call);
  } else {
    const bool reserved =
        f.key_format == DSA_FORMAT_KV_FP8_584 || f.key_format == DSA_FORMAT_KV_FP8_528;
    fail(reserved ? DSA_ERROR_UNSUPPORTED : DSA_ERROR_INVALID,
         "%s.key_format%s is %d, KV takes 0 (plain) and 2 (KV_FP8_656)", c.op, c.suffix,
         f.key_format);
  }
  set_value(f, scope, value_dim, call);
  if (heads % scope.kv_heads != 0) {
    fail(DSA_ERROR_INVALID, "%s.kv%s has %d KV heads, which do not divide %d query heads", c.op,
         c.suffix, scope.kv_heads, heads);
  }
  const int32_t dims[] = {scope.piece[0].values.width,
                          scope.pieces == 2 ? scope.piece[1].values.width : 1,
                          scope.value.values.width};
  for (const int32_t dim : dims) {
    if (dim < 1 || dim > kMaxAttnDim) {
      fail(dim < 1 ? DSA_ERROR_INVALID : DSA_ERROR_UNSUPPORTED,
           "%s.kv%s: a head dim of %d, kernels take 1 to %d", c.op, c.suffix, dim, kMaxAttnDim);
    }
  }
  set_selection(f, scope, rows, call);
  return scope;
}

}  // namespace dsa
