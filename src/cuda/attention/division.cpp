#include "cuda/attention/division.h"

#include <algorithm>
#include <numeric>

namespace dsa::cuda {
namespace {

constexpr int64_t kTile = 32;
constexpr int64_t kLeastSplits = 16;                 // of a cluster, however few the slots
constexpr int64_t kListElements = int64_t{1} << 24;  // 64 MiB of lists at once

constexpr uint64_t align_up(uint64_t bytes) { return (bytes + 255) / 256 * 256; }

// Slots that a row of the scope can have.
int64_t capacity(const AttnScope& scope) {
  return scope.selection == DSA_SELECTION_CUT ? attn_list_width(scope) : scope.max_selected();
}

int64_t most_splits(const SparseAttnParams& p) {
  return std::clamp<int64_t>((attn_most_slots(p) + kTile - 1) / kTile, 1, kMostSplits);
}

uint64_t list_bytes(const SparseAttnParams& p) {
  if (p.scope[0].selection != DSA_SELECTION_CUT) return 0;
  const int64_t width = attn_list_width(p.scope[0]) + 1;
  return align_up(uint64_t(std::min(p.rows * width, std::max(kListElements, width))) * 4);
}

}  // namespace

int64_t attn_most_slots(const SparseAttnParams& p) {
  int64_t slots = 0;
  for (int32_t i = 0; i < p.scopes; ++i) slots += capacity(p.scope[i]);
  return slots;
}

int32_t attn_group_heads(const SparseAttnParams& p) {
  int32_t heads = p.heads;
  for (int32_t i = 0; i < p.scopes; ++i) {
    heads = std::gcd(heads, p.heads / p.scope[i].kv_heads);
  }
  return heads;
}

AttnDivision attn_divide(const SparseAttnParams& p, int32_t tile_heads, int64_t resident,
                         int64_t least) {
  AttnDivision d;
  d.group = attn_group_heads(p);
  d.groups = p.heads / d.group;
  d.tile_heads = tile_heads;
  d.tiles = (d.group + tile_heads - 1) / tile_heads;
  d.rows = p.rows;
  d.first_slots = capacity(p.scope[0]);
  const int64_t units = p.rows * d.units_of_row();
  const int64_t splits = std::clamp<int64_t>(resident / units, 1, most_splits(p));
  const int64_t slots = std::max<int64_t>(attn_most_slots(p), 1);
  d.split_slots = (slots + splits * least - 1) / (splits * least) * least;
  d.splits = static_cast<int32_t>((slots + d.split_slots - 1) / d.split_slots);
  return d;
}

uint64_t attn_workspace(const SparseAttnParams& p, int32_t sms) {
  const int64_t rows_heads = p.rows * p.heads;
  const int64_t partials = std::min<int64_t>(
      rows_heads * std::max<int64_t>(most_splits(p), kLeastSplits), int64_t{kSplitHeadsOfSm} * sms);
  const uint64_t state = align_up(uint64_t(partials) * sizeof(float2));
  return list_bytes(p) + state +
         align_up(uint64_t(partials) * uint64_t(attn_partial_pitch(p.value_dim)) * 4);
}

AttnPartials attn_partials(const SparseAttnParams& p, const AttnDivision& d, int32_t pitch,
                           char* memory) {
  char* const state = memory + list_bytes(p);
  const uint64_t state_bytes =
      align_up(uint64_t(p.rows * p.heads) * uint64_t(d.splits) * sizeof(float2));
  AttnPartials partials;
  partials.state = reinterpret_cast<float2*>(state);
  partials.out = reinterpret_cast<float*>(state + state_bytes);
  const int64_t before = p.first_row * p.heads * d.splits;
  if (before > 0) {
    partials.state -= before;
    partials.out -= before * pitch;
  }
  return partials;
}

int64_t attn_list_width(const AttnScope& scope) {
  return std::min<int64_t>(scope.k, scope.rows.max_length());
}

int64_t attn_list_rows(const SparseAttnParams& p) {
  const int64_t width = attn_list_width(p.scope[0]) + 1;
  return std::clamp<int64_t>(kListElements / width, 1, p.rows);
}

SparseAttnParams attn_with_lists(const SparseAttnParams& p, char* lists, int64_t first_row) {
  SparseAttnParams with = p;
  AttnScope& scope = with.scope[0];
  const int64_t width = attn_list_width(scope);
  RowTensor counts;
  counts.dtype = DSA_I32;
  counts.bytes = 4;
  counts.row_stride = (width + 1) * 4;
  // Row first_row is the first in memory.
  counts.data = reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(lists) -
                                        uintptr_t(first_row * counts.row_stride));
  scope.counts = counts;
  scope.indices = counts;
  scope.indices.data += 4;
  scope.indices.extent[0] = width;
  scope.indices.stride[0] = 1;
  scope.index_base = RowTensor();
  scope.k = static_cast<int32_t>(width);
  scope.selection = DSA_SELECTION_INDICES;
  return with;
}

}  // namespace dsa::cuda
