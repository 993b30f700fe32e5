#include "cpu/attention/division.h"

#include <algorithm>
#include <atomic>

#include "cpu/attention/selection.h"
#include "cpu/attention/shape.h"

namespace dsa::cpu {
namespace {

constexpr int32_t kMostTaskHeads = 128;
constexpr int32_t kLeastTaskHeads = 16;
constexpr uint64_t kMostPartialBytes = uint64_t{64} << 20;
constexpr int32_t kTasksPerLane = 3;

constexpr uint64_t align_up(uint64_t bytes) { return (bytes + 255) / 256 * 256; }

// Tasks of fewer heads where some lanes would have none; not below 16 heads: every task converts
// the keys anew.
void divide_heads(const SparseAttnParams& p, int32_t lanes, AttnDivision& d) {
  const int64_t groups = p.rows * (p.heads / d.group);
  d.heads = std::min(d.group, kMostTaskHeads);
  for (;;) {
    d.parts = (d.group + d.heads - 1) / d.heads;
    d.units = groups * d.parts;
    if (d.heads <= kLeastTaskHeads || d.units * (d.divided ? d.pieces : 1) >= lanes) return;
    d.heads = (d.heads / 2 + 15) / 16 * 16;
  }
}

}  // namespace

uint64_t attn_state_bytes(int32_t heads, int32_t dv) {
  const int64_t h = attn_padded(heads);
  return align_up(uint64_t(h * 4)) * 2 + align_up(uint64_t(h * attn_padded(dv) * 4));
}

AttnState attn_state_at(char* memory, int32_t heads) {
  const uint64_t numbers = align_up(uint64_t(attn_padded(heads) * 4));
  AttnState s;
  s.max = reinterpret_cast<float*>(memory);
  s.sum = reinterpret_cast<float*>(memory + numbers);
  s.out = reinterpret_cast<float*>(memory + 2 * numbers);
  return s;
}

// Sized as if V lay apart, since a size query has no data pointers to compare, and for all heads in
// one group: more KV heads must not shrink it.
AttnLaneLayout attn_lane_layout(const AttnTier& tier, const SparseAttnParams& p) {
  const int32_t heads = std::min(p.heads, kMostTaskHeads);
  AttnLaneLayout l{};
  for (int32_t i = 0; i < p.scopes; ++i) {
    const AttnShape s = attn_shape(p, p.scope[i], heads, true);
    l.query = std::max<uint64_t>(l.query, align_up(tier.query_bytes(s)));
    l.scratch = std::max<uint64_t>(l.scratch, align_up(tier.scratch_bytes(s)));
  }
  l.state = attn_state_bytes(heads, p.value_dim);
  l.keys = align_up(sizeof(AttnKeyAddresses));
  l.total = l.query + 2 * l.state + l.scratch + l.keys;
  return l;
}

AttnPartialLayout attn_partial_layout(const SparseAttnParams& p, const AttnDivision& d) {
  const uint64_t states = uint64_t(d.units) * uint64_t(d.pieces);
  AttnPartialLayout l;
  l.keys = align_up(uint64_t(d.units) * sizeof(std::atomic<int32_t>));
  l.states = l.keys + align_up(states * sizeof(int64_t));
  l.state = attn_state_bytes(d.heads, p.value_dim);
  l.total = l.states + states * l.state;
  return l;
}

// What a call may use for them: room for the rows that are divided with heads in groups of 4 or
// more, whose states are padded to 16.
uint64_t attn_partial_budget(const SparseAttnParams& p, int32_t lanes) {
  if (lanes == 1) return 0;
  uint64_t pieces = 0;
  for (int32_t i = 0; i < p.scopes; ++i) pieces += uint64_t(attn_most_pieces(p.scope[i]));
  const int64_t rows = std::min<int64_t>(p.rows, int64_t{kTasksPerLane} * lanes);
  const uint64_t row = 4 * attn_state_bytes(p.heads, p.value_dim) + 2048;
  return align_up(std::min(uint64_t(rows) * pieces * row, kMostPartialBytes));
}

AttnDivision attn_divide(const SparseAttnParams& p, int32_t lanes) {
  AttnDivision d;
  d.group = attn_group_heads(p);
  d.pieces = 0;
  for (int32_t i = 0; i < p.scopes; ++i) d.pieces += attn_pieces(p.scope[i]).count;
  divide_heads(p, 1, d);
  if (lanes == 1 || d.units >= int64_t{kTasksPerLane} * lanes) return d;
  d.divided = d.pieces > 1;
  divide_heads(p, lanes, d);
  if (d.divided && attn_partial_layout(p, d).total > attn_partial_budget(p, lanes)) {
    d.divided = false;
    divide_heads(p, lanes, d);
  }
  return d;
}

// A key costs about 0.03 ns an element of q and v.
double attn_ns(const SparseAttnParams& p) {
  double keys = 0;
  for (int32_t i = 0; i < p.scopes; ++i) {
    const AttnScope& scope = p.scope[i];
    keys += double(std::min(scope.max_selected(), scope.selection == DSA_SELECTION_SLOTS
                                                      ? int64_t{scope.k}
                                                      : scope.rows.max_length()));
  }
  const int32_t dims = int32_t(p.q[0].extent[1]) + p.value_dim;
  return double(p.rows) * (500.0 + keys * p.heads * dims * 0.03);
}

}  // namespace dsa::cpu
