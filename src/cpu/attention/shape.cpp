#include "cpu/attention/shape.h"

#include <numeric>

namespace dsa::cpu {
namespace {

AttnRows rows_of(const KeyPiece& piece, int32_t d) {
  AttnRows rows;
  rows.type = attn_type(piece.values.dtype);
  rows.d = d;
  rows.stride = piece.values.element_stride;
  if (piece.scale.given()) {
    rows.group = piece.values.width / piece.scale.width;
    rows.group_stride = piece.scale.element_stride;
  }
  return rows;
}

bool same_rows(const KeyTensor& a, const KeyTensor& b) {
  return a.data == b.data && a.dtype == b.dtype && a.outer_stride == b.outer_stride &&
         a.inner_stride == b.inner_stride && a.head_stride == b.head_stride &&
         a.element_stride == b.element_stride;
}

}  // namespace

AttnType attn_type(int32_t dtype) {
  switch (dtype) {
    case DSA_F32:
      return AttnType::kF32;
    case DSA_F16:
      return AttnType::kF16;
    case DSA_BF16:
      return AttnType::kBf16;
    default:
      return AttnType::kE4m3;
  }
}

int32_t attn_group_heads(const SparseAttnParams& p) {
  int32_t heads = p.heads;
  for (int32_t i = 0; i < p.scopes; ++i) {
    heads = std::gcd(heads, p.heads / p.scope[i].kv_heads);
  }
  return heads;
}

bool attn_values_in_keys(const AttnScope& scope, int32_t dv) {
  const KeyPiece& k = scope.piece[0];
  const KeyPiece& v = scope.value;
  if (dv > k.values.width || !same_rows(k.values, v.values)) return false;
  if (!k.scale.given() && !v.scale.given()) return true;
  return k.values.width == v.values.width && k.scale.width == v.scale.width &&
         k.scale.given() == v.scale.given() && same_rows(k.scale, v.scale);
}

AttnShape attn_shape(const SparseAttnParams& p, const AttnScope& scope, int32_t heads, bool apart) {
  AttnShape s;
  s.heads = heads;
  s.dv = p.value_dim;
  s.scale = p.scale;
  s.k = rows_of(scope.piece[0], scope.piece[0].values.width);
  if (scope.pieces == 2) s.k2 = rows_of(scope.piece[1], scope.piece[1].values.width);
  if (apart && p.value_dim > 0) s.v = rows_of(scope.value, p.value_dim);
  return s;
}

}  // namespace dsa::cpu
