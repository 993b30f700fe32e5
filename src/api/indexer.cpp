// dsa_indexer: validate, pick, run.
#include "api/dispatch.h"
#include "api/indexer_params.h"

namespace dsa {

RowTensor make_row_head_scale(const char* op, const char* field, const dsa_tensor& t, int64_t rows,
                              int32_t heads, CallKind call) {
  const TensorRule rule{op, field, dtype_bit(DSA_F32)};
  if (!given(t)) return {};
  if (t.ndim == 1) {
    check_tensor(rule, t, 1, 1, call);
    check_extent(rule, t, 0, 1, "one scale for all (else [T, heads])");
    RowTensor view;
    view.data = static_cast<char*>(t.data);
    view.dtype = DSA_F32;
    view.bytes = 4;
    view.extent[0] = heads;
    return view;
  }
  const RowTensor view = row_tensor(rule, t, 1, rows, call);
  check_extent(rule, t, -1, heads, "the number of heads");
  return view;
}

void make_index_keys(const char* op, const CacheFields& fields, int32_t key_format,
                     const dsa_tensor& keys, const dsa_tensor& k_scale, int32_t dim, CallKind call,
                     IndexerParams& out) {
  if (key_format == DSA_FORMAT_PLAIN) {
    out.axis = make_axis(fields, "keys", keys, false, call);
    out.keys.values = make_key_tensor(fields, "keys", out.axis, keys, kKeyDtypes, false, call);
    if (out.keys.values.width != dim) {
      fail(DSA_ERROR_INVALID, "%s.keys.shape[%d] is %d, q has a head dim of %d", op, keys.ndim - 1,
           out.keys.values.width, dim);
    }
    out.keys.scale = make_key_scale(fields, "k_scale", out.axis, k_scale, dim, false, call);
    return;
  }
  if (key_format != DSA_FORMAT_KEY_PAGE_132) {
    fail(key_format == DSA_FORMAT_KV_FP8_528 ? DSA_ERROR_UNSUPPORTED : DSA_ERROR_INVALID,
         "%s.key_format is %d, index keys take 0 (plain) and 1 (KEY_PAGE_132)", op, key_format);
  }
  if (fields.layout != DSA_LAYOUT_PAGES) {
    fail(DSA_ERROR_INVALID, "%s.key_layout is %d, KEY_PAGE_132 needs 1 (pages)", op, fields.layout);
  }
  if (given(k_scale)) {
    fail(DSA_ERROR_INVALID, "%s.k_scale is given, but KEY_PAGE_132 pages hold their scales", op);
  }
  check_tensor({op, "keys", dtype_bit(DSA_U8)}, keys, 2, 2, call);
  out.axis = make_axis(fields, "keys", keys, true, call);
  const int64_t page = out.axis.inner;
  const int64_t needed = page * (dim + 4);
  if (keys.shape[1] < needed) {
    fail(DSA_ERROR_INVALID, "%s.keys.shape[1] is %lld bytes, a page of %lld keys of %d takes %lld",
         op, static_cast<long long>(keys.shape[1]), static_cast<long long>(page), dim,
         static_cast<long long>(needed));
  }
  if (keys.stride[1] != 1) {
    fail(DSA_ERROR_INVALID, "%s.keys.stride[1] is %lld, bytes of a packed page must be adjacent",
         op, static_cast<long long>(keys.stride[1]));
  }
  // The scales are f32 and read as such.
  if (page * dim % 4 != 0 || keys.stride[0] % 4 != 0 ||
      reinterpret_cast<uintptr_t>(keys.data) % 4 != 0) {
    fail(DSA_ERROR_INVALID,
         "%s.keys: data, stride[0] and page_size * head dim must be multiples of 4 bytes in "
         "KEY_PAGE_132",
         op);
  }
  KeyTensor& values = out.keys.values;
  values.data = static_cast<const char*>(keys.data);
  values.dtype = DSA_F8_E4M3FN;
  values.width = dim;
  values.outer_stride = keys.stride[0];
  values.inner_stride = dim;
  KeyTensor& scale = out.keys.scale;
  scale.data = values.data ? values.data + page * dim : nullptr;
  scale.dtype = DSA_F32;
  scale.width = 1;
  scale.outer_stride = keys.stride[0];
  scale.inner_stride = 4;
}

IndexerParams make_params(const dsa_indexer_desc& d, CallKind call) {
  const char* op = "indexer";
  check_flags(op, d.flags, DSA_CAUSAL | DSA_COLUMNS_FROM_BEGIN | DSA_KEEP_INVISIBLE | DSA_NO_RELU);
  const TensorRule scores_rule{op, "scores", dtype_bit(DSA_F32) | dtype_bit(DSA_BF16), true};
  check_tensor(scores_rule, d.scores, 2, 3, call);
  const int64_t columns = d.scores.shape[d.scores.ndim - 1];
  IndexerParams p = make_indexer(op, d, columns, call);
  p.scores = row_tensor(scores_rule, d.scores, 1, p.rows.count, call);
  p.keep_invisible = (d.flags & DSA_KEEP_INVISIBLE) != 0;
  if (call.needs_data) {
    check_distinct(op, {{"scores", &d.scores}},
                   {{"q", &d.q}, {"keys", &d.keys}, {"w", &d.w}, {"mask", &d.mask}});
  }
  return p;
}

}  // namespace dsa

dsa_status dsa_indexer(dsa_ctx* ctx, const dsa_indexer_desc* desc, const dsa_exec* exec) {
  return dsa::run_operation(ctx, "indexer", DSA_OP_INDEXER, desc, exec);
}
