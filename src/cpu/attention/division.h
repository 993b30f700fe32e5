// How a call is cut into tasks, and the memory that this takes. None of it changes a bit of the
// results.
#pragma once

#include <cstdint>

#include "core/params.h"
#include "cpu/attention/tier.h"

namespace dsa::cpu {

// One lane's memory: query, two states, tile scratch, key addresses.
struct AttnLaneLayout {
  uint64_t query, state, scratch, keys, total;
};
AttnLaneLayout attn_lane_layout(const AttnTier& tier, const SparseAttnParams& p);

struct AttnKeyAddresses {
  KeyPlace place[kAttnChunk];
  const void* k[kAttnChunk];
  const void* k2[kAttnChunk];
  const void* v[kAttnChunk];
  const float* k_scale[kAttnChunk];
  const float* k2_scale[kAttnChunk];
  const float* v_scale[kAttnChunk];
};

// A state of `heads` heads: its bytes, and the state in that much memory.
uint64_t attn_state_bytes(int32_t heads, int32_t dv);
AttnState attn_state_at(char* memory, int32_t heads);

// Tasks.
struct AttnDivision {
  int32_t group = 1;     // heads that share keys
  int32_t heads = 1;     // of a task
  int32_t parts = 1;     // tasks of a group
  int64_t units = 0;     // rows x groups x parts
  int32_t pieces = 1;    // of a row
  bool divided = false;  // a task is one piece
};

// Memory of a division into pieces: a counter a unit, key counts and states.
struct AttnPartialLayout {
  uint64_t keys, states, state, total;
};
AttnPartialLayout attn_partial_layout(const SparseAttnParams& p, const AttnDivision& d);

// What a call may use for them with up to `lanes` lanes: monotone in every extent.
uint64_t attn_partial_budget(const SparseAttnParams& p, int32_t lanes);

AttnDivision attn_divide(const SparseAttnParams& p, int32_t lanes);

// What a call takes on one core.
double attn_ns(const SparseAttnParams& p);

}  // namespace dsa::cpu
