// One scope of an attention call: a cache in any form, and a selection from it.
#pragma once

#include "support/draw_fields.h"

namespace support {

// What both scopes agree on.
struct AttnShape {
  int64_t heads;      // H
  int64_t dim;        // D, or D1 with a second piece
  int64_t dim2;       // 0: one piece
  int64_t value_dim;  // Dv
  bool packed;        // q of 576
  int32_t uniform;    // everything of this dtype and adjacent, without scales; 0: anything
  bool aligned;       // and in 16-byte units
};

// The fields of a scope, whichever suffix they have.
struct ScopeOut {
  int32_t *layout, *format, *page_size, *selection, *k, *slot_page_size, *slot_page_stride;
  dsa_tensor *kv, *kv2, *v, *kv_scale, *v_scale, *table, *indices, *counts;
};

// Draws cache tensors and their data; gives positions a request can have.
int64_t draw_kv(Random& random, Arena& arena, const Frame& f, const AttnShape& shape, int64_t keys,
                ScopeOut out);

// indices or slots with counts: valid, repeated, garbage and -1 entries.
void draw_entries(Random& random, Arena& arena, const Frame& f, int64_t keys, ScopeOut out);

}  // namespace support
