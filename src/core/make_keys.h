// From a descriptor's cache fields to KeyAxis and KeyPiece (core/keys.h). Packed formats become
// plain tensors here.
#pragma once

#include "core/keys.h"

namespace dsa {

// The fields that describe one cache of a descriptor, under the names used in error texts.
struct CacheFields {
  const char* op;
  const char* suffix;  // "" or "_b"
  int32_t layout;
  int32_t page_size;
  const dsa_tensor* block_table;
  int64_t batch;     // B that the block table must have
  bool needs_table;  // positions are used (not only slots)
};

// Names "kv", "kv2" ... with the scope's suffix.
struct FieldName {
  char text[32];
  FieldName(const char* name, const char* suffix);
};

// Extent of B in DSA_LAYOUT_BATCH, else 0; checks the layout number and the rank.
int64_t keys_batch(const char* op, const char* field, int32_t layout, const dsa_tensor& keys);

// The axis of a cache whose main tensor is `keys` (rank checked by the caller through make_piece or
// the packed form). `packed_pages`: u8 [pages, bytes], page_size from the field.
KeyAxis make_axis(const CacheFields& fields, const char* name, const dsa_tensor& keys,
                  bool packed_pages, CallKind call);

// A plain tensor [axis..., (heads,) width] on the axis. `allow_heads`: one more axis may be there.
KeyTensor make_key_tensor(const CacheFields& fields, const char* name, const KeyAxis& axis,
                          const dsa_tensor& tensor, uint32_t dtypes, bool allow_heads,
                          CallKind call);

// Scales: [1], one a key [axis...], or groups [axis..., groups]. Not given: an empty tensor.
KeyTensor make_key_scale(const CacheFields& fields, const char* name, const KeyAxis& axis,
                         const dsa_tensor& scale, int32_t key_width, bool allow_groups,
                         CallKind call);

}  // namespace dsa
