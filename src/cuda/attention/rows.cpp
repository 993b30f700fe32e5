#include "cuda/attention/rows.h"

#include <algorithm>

namespace dsa::cuda {
namespace {

constexpr int32_t kMostKeyColumns = 576;
constexpr int32_t kMostValueColumns = 512;

bool same_place(const KeyTensor& a, const KeyTensor& b, int64_t offset) {
  return reinterpret_cast<uintptr_t>(a.data) + uintptr_t(a.data ? offset : 0) ==
             reinterpret_cast<uintptr_t>(b.data) &&
         a.outer_stride == b.outer_stride && a.inner_stride == b.inner_stride &&
         a.head_stride == b.head_stride;
}

bool is_fp8_656(const AttnScope& s) {
  const KeyPiece& latent = s.piece[0];
  const KeyPiece& rope = s.piece[1];
  return s.pieces == 2 && latent.values.dtype == DSA_F8_E4M3FN &&
         latent.values.width == kFp8Columns && latent.values.element_stride == 1 &&
         latent.scale.given() && latent.scale.width == kFp8Groups &&
         latent.scale.element_stride == 1 && rope.values.dtype == DSA_BF16 &&
         rope.values.width == kFp8RopeColumns && rope.values.element_stride == 1 &&
         !rope.scale.given() && same_place(latent.values, latent.scale, kFp8ScaleOffset) &&
         same_place(latent.values, rope.values, kFp8RopeOffset) &&
         same_place(latent.values, s.value.values, 0) && s.value.values.dtype == DSA_F8_E4M3FN;
}

bool values_in_keys(const AttnScope& s, int32_t value_dim) {
  return value_dim <= s.piece[0].values.width && same_place(s.piece[0].values, s.value.values, 0);
}

bool in_units(const KeyTensor& t, int32_t width) {
  const int64_t bytes = element_bytes(t.dtype);
  return (t.element_stride == 1 || width == 1) && width * bytes % 16 == 0 &&
         reinterpret_cast<uintptr_t>(t.data) % 16 == 0 && t.outer_stride % 16 == 0 &&
         t.inner_stride % 16 == 0 && t.head_stride % 16 == 0;
}

const char* refuse_fp8(const SparseAttnParams& p) {
  if (p.q[0].dtype != DSA_BF16) return "q is not bf16";
  for (int32_t i = 0; i < p.scopes; ++i) {
    const KeyTensor& row = p.scope[i].piece[0].values;
    if (!is_fp8_656(p.scope[i])) return "one scope is KV_FP8_656, the other is not";
    if (reinterpret_cast<uintptr_t>(row.data) % 16 != 0 || row.outer_stride % 16 != 0 ||
        row.inner_stride % 16 != 0) {
      return "rows of kv are not 16-byte aligned";
    }
  }
  return nullptr;
}

const char* refuse_plain(const SparseAttnParams& p) {
  const int32_t dtype = p.q[0].dtype;
  if (dtype != DSA_BF16 && dtype != DSA_F16) return "q is neither bf16 nor f16";
  if (p.q[1].given() && p.q[1].dtype != dtype) return "q and q2 differ in dtype";
  for (int32_t i = 0; i < p.scopes; ++i) {
    const AttnScope& s = p.scope[i];
    int32_t columns = 0;
    for (int32_t j = 0; j < s.pieces; ++j) {
      const KeyPiece& piece = s.piece[j];
      if (piece.values.dtype != dtype) return "keys are not of q's dtype";
      if (piece.scale.given()) return "keys have scales";
      if (!in_units(piece.values, piece.values.width)) {
        return "keys are not adjacent elements in 16-byte units";
      }
      columns += piece.values.width;
    }
    if (columns > kMostKeyColumns) return "more than 576 elements a key";
    if (p.value_dim == 0) continue;
    if (p.value_dim > kMostValueColumns) return "more than 512 elements a value";
    if (s.value.values.dtype != dtype) return "values are not of q's dtype";
    if (s.value.scale.given()) return "values have scales";
    if (!values_in_keys(s, p.value_dim) && !in_units(s.value.values, p.value_dim)) {
      return "values are not adjacent elements in 16-byte units";
    }
  }
  return nullptr;
}

void add_part(ScopeRow& row, const KeyTensor& tensor, int32_t bytes, int32_t offset) {
  row.part[row.parts++] = {tensor, bytes, offset};
  row.bytes += bytes;
}

// Whether slots number the cache's rows one after the other.
bool rows_follow(const KeyAxis& axis, const KeyTensor& keys) {
  if (axis.slot_page_stride != axis.slot_page_size) return false;
  return axis.layout != DSA_LAYOUT_PAGES ||
         (axis.slot_page_size == axis.inner && keys.outer_stride == axis.inner * keys.inner_stride);
}

}  // namespace

bool query_in_units(const SparseAttnParams& p, int64_t bytes) {
  for (const RowTensor& q : p.q) {
    if (!q.given()) continue;
    if (q.stride[1] != 1 || q.stride[0] * q.bytes % bytes != 0 || q.row_stride % bytes != 0 ||
        q.outer_stride % bytes != 0 ||
        reinterpret_cast<uintptr_t>(q.data) % uintptr_t(bytes) != 0) {
      return false;
    }
  }
  return true;
}

const char* key_rows_refuse(const SparseAttnParams& p) {
  if (p.q_scale.given()) return "q_scale is given: a scaled query is not of its dtype";
  if (!query_in_units(p, 8)) return "q is not adjacent elements in 8-byte units";
  for (const RowTensor& q : p.q) {
    if (q.given() && q.extent[1] % 16 != 0) return "a piece of q is not a multiple of 16 elements";
  }
  const bool fp8 = is_fp8_656(p.scope[0]) || (p.scopes == 2 && is_fp8_656(p.scope[1]));
  return fp8 ? refuse_fp8(p) : refuse_plain(p);
}

RowFormat row_format(const SparseAttnParams& p) {
  if (is_fp8_656(p.scope[0])) return RowFormat::kFp8_656;
  return p.q[0].dtype == DSA_BF16 ? RowFormat::kBf16 : RowFormat::kF16;
}

KeyRows key_rows(const SparseAttnParams& p) {
  KeyRows rows;
  const bool fp8 = row_format(p) == RowFormat::kFp8_656;
  for (int32_t i = 0; i < p.scopes; ++i) {
    const AttnScope& s = p.scope[i];
    ScopeRow& row = rows.scope[i];
    row.heads_of_kv = p.heads / s.kv_heads;
    if (fp8) {
      add_part(row, s.piece[0].values, kFp8RowBytes, 0);
      rows.bytes = kFp8RowBytes;
      rows.key_steps = (kFp8Columns + kFp8RopeColumns) / 16;
      continue;
    }
    int32_t columns = 0;
    for (int32_t j = 0; j < s.pieces; ++j) {
      add_part(row, s.piece[j].values, s.piece[j].values.width * 2, columns * 2);
      columns += s.piece[j].values.width;
    }
    rows.key_steps = columns / 16;
    int32_t end = rows.key_steps * 32;
    if (p.value_dim > 0 && !values_in_keys(s, p.value_dim)) {
      row.value_offset = end;
      add_part(row, s.value.values, p.value_dim * 2, end);
      end += (p.value_dim + 15) / 16 * 32;
    }
    rows.bytes = std::max({rows.bytes, end, (p.value_dim + 15) / 16 * 32});
  }
  return rows;
}

LinearKeys linear_keys(const SparseAttnParams& p) {
  const AttnScope& s = p.scope[0];
  const KeyTensor& keys = s.piece[0].values;
  const bool slots = s.selection == DSA_SELECTION_SLOTS;
  const bool indices = s.selection == DSA_SELECTION_INDICES && s.axis.layout == DSA_LAYOUT_ROWS &&
                       s.rows.by == VisibleBy::kAll && !s.index_base.given();
  if (p.scopes > 1 || key_rows(p).scope[0].parts > 1 || s.kv_heads > 1 || s.index_block > 1 ||
      s.rows.mask.given() || s.indices.split > 0 || s.counts.split > 0 || s.k > (1 << 30)) {
    return {};
  }
  if (!(slots && rows_follow(s.axis, keys)) && !indices) return {};
  const int64_t there = s.axis.inner * (s.axis.layout == DSA_LAYOUT_PAGES ? s.axis.outer : 1);
  const int64_t limit = slots ? there : s.rows.max_length();
  return {keys.data, keys.inner_stride, static_cast<uint32_t>(std::min<int64_t>(limit, INT32_MAX))};
}

}  // namespace dsa::cuda
