// One scope of dsa_sparse_attn: a cache (kv, kv2, v, scales, table) and the selection from it.
#pragma once

#include "core/make_keys.h"
#include "core/params.h"

namespace dsa {

// The fields of a scope, whichever suffix they have in the descriptor.
struct ScopeFields {
  CacheFields cache;
  int32_t key_format;
  int32_t selection;
  int32_t k;
  int32_t slot_page_size;
  int32_t slot_page_stride;
  const dsa_tensor *kv, *kv2, *v, *kv_scale, *v_scale, *indices, *counts;
};

// A scope with axis, pieces, value and selection filled; rows stay the caller's. `heads` of the
// query, `value_dim` 0 when out is absent. `split` > 0: plain keys of one piece are cut there into
// two, as packed rows are.
AttnScope make_scope(const ScopeFields& fields, int64_t rows, int32_t heads, int32_t value_dim,
                     int32_t split, CallKind call);

// KV_FP8_656: e4m3fn part and bf16 part of a row.
inline constexpr int32_t kPackedFp8Width = 512;
inline constexpr int32_t kPackedBf16Width = 64;

}  // namespace dsa
