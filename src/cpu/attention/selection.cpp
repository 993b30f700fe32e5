#include "cpu/attention/selection.h"

#include <algorithm>
#include <limits>

#include "cpu/simd/convert.h"

namespace dsa::cpu {
namespace {

constexpr int64_t kSmallestPiece = 256;
constexpr int64_t kMostPieces = 16;

float score_at(const char* p, int32_t dtype) {
  if (dtype == DSA_F32) return *reinterpret_cast<const float*>(p);
  const uint16_t bits = *reinterpret_cast<const uint16_t*>(p);
  return dtype == DSA_F16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

int64_t block_of(const AttnScope& scope) {
  return scope.selection == DSA_SELECTION_INDICES ? scope.index_block : 1;
}

int64_t entries_of(const AttnScope& scope) {
  if (scope.selection == DSA_SELECTION_ALL) return scope.rows.max_length();
  if (scope.selection == DSA_SELECTION_CUT) {
    return std::min<int64_t>(scope.k, scope.rows.max_length());
  }
  return scope.k;
}

int64_t smallest_pieces(const AttnScope& scope) {
  return (entries_of(scope) * block_of(scope) + kSmallestPiece - 1) / kSmallestPiece;
}

}  // namespace

AttnPieces attn_pieces(const AttnScope& scope) {
  const int64_t block = block_of(scope);
  const int64_t units = smallest_pieces(scope);
  const int64_t keys =
      std::max<int64_t>(1, (units + kMostPieces - 1) / kMostPieces) * kSmallestPiece;
  AttnPieces pieces;
  pieces.entries = std::max<int64_t>(1, keys / block);
  pieces.tail = scope.block_tail && block > 1;
  pieces.count =
      int32_t((entries_of(scope) + pieces.entries - 1) / pieces.entries) + (pieces.tail ? 1 : 0);
  return pieces;
}

// Whole blocks may leave a piece half empty, hence the two.
int32_t attn_most_pieces(const AttnScope& scope) {
  const int64_t factor = block_of(scope) > 1 ? 2 : 1;
  return int32_t(factor * std::min(kMostPieces, smallest_pieces(scope))) +
         (scope.block_tail ? 1 : 0);
}

AttnCursor::AttnCursor(const AttnScope& scope, const AttnPieces& pieces, int64_t t)
    : scope_(scope), pieces_(pieces), t_(t), span_(scope.rows.span(t)) {
  const bool blocks = scope.index_block > 1;
  if (scope.index_base.given()) {
    base_ = uint32_t(*scope.index_base.row_as<const int32_t>(t));
    if (!blocks) base_ -= uint32_t(span_.begin);
  }
  if (scope.indices.given()) {
    listed_ = scope.k;
    if (scope.counts.given()) {
      listed_ = clamp64(*scope.counts.row_as<const int32_t>(t), 0, listed_);
    }
    entries_ = scope.indices.row(t);
    entry_stride_ = scope.indices.stride[0] * 4;
  }
  if (scope.selection == DSA_SELECTION_CUT) {
    cut_score_ = *scope.cut_score.row_as<const float>(t);
    const int32_t index = *scope.cut_index.row_as<const int32_t>(t);
    empty_cut_ = cut_score_ == std::numeric_limits<float>::infinity() && index == -1;
    cut_position_ = int32_t(uint32_t(index) - base_);
    at_ = span_.begin;
  }
}

void AttnCursor::start(int32_t piece) {
  key_ = key_end_ = 0;
  if (scope_.selection == DSA_SELECTION_CUT) {
    const int64_t first = piece * pieces_.entries;
    take_until_ = first;
    while (taken_ < first) {
      KeyPlace skipped[64];
      const int32_t n = int32_t(std::min<int64_t>(64, first - taken_));
      const int64_t before = taken_;
      next_cut(skipped, n);
      if (taken_ == before) break;
    }
    take_until_ = std::min<int64_t>(first + pieces_.entries, scope_.k);
    return;
  }
  if (pieces_.tail && piece + 1 == pieces_.count) {
    key_ = complete_end();
    key_end_ = span_.end;
    at_ = end_ = 0;
    return;
  }
  const bool all = scope_.selection == DSA_SELECTION_ALL;
  const int64_t origin = all ? span_.begin : 0;
  const int64_t last = all ? span_.end : listed_;
  at_ = std::min(origin + piece * pieces_.entries, last);
  end_ = std::min(at_ + pieces_.entries, last);
}

int32_t AttnCursor::next(KeyPlace* places, int32_t capacity) {
  switch (scope_.selection) {
    case DSA_SELECTION_SLOTS:
      return next_slots(places, capacity);
    case DSA_SELECTION_CUT:
      return next_cut(places, capacity);
    case DSA_SELECTION_ALL:
      return next_positions(places, capacity);
    default:
      return next_listed(places, capacity);
  }
}

int32_t AttnCursor::next_listed(KeyPlace* places, int32_t capacity) {
  int32_t n = 0;
  const int64_t block = scope_.index_block;
  for (;;) {
    while (key_ < key_end_ && n < capacity) n += show(key_++, places[n]) ? 1 : 0;
    if (n == capacity || at_ >= end_) return n;
    const int32_t index = *reinterpret_cast<const int32_t*>(entries_ + at_++ * entry_stride_);
    const int64_t number = int32_t(uint32_t(index) - base_);
    if (block == 1) {
      if (number < span_.begin || number >= span_.end) continue;
      n += show(number, places[n]) ? 1 : 0;
    } else if (number >= 0) {
      key_ = span_.begin + number * block;
      // The tail reads an incomplete block by itself; it is not read twice.
      const int64_t end = pieces_.tail ? complete_end() : span_.end;
      key_end_ = std::min<int64_t>(key_ + block, end);
    }
  }
}

int32_t AttnCursor::next_slots(KeyPlace* places, int32_t capacity) {
  int32_t n = 0;
  while (at_ < end_ && n < capacity) {
    const int32_t slot = *reinterpret_cast<const int32_t*>(entries_ + at_++ * entry_stride_);
    n += scope_.axis.place_slot(slot, places[n]) ? 1 : 0;
  }
  return n;
}

int32_t AttnCursor::next_positions(KeyPlace* places, int32_t capacity) {
  int32_t n = 0;
  while (at_ < end_ && n < capacity) n += show(at_++, places[n]) ? 1 : 0;
  return n;
}

bool AttnCursor::passes_cut(int64_t s) const {
  const int64_t column = scope_.rows.column(span_, s);
  const float score =
      score_at(scope_.scores.row(t_) + column * scope_.scores.stride[0] * scope_.scores.bytes,
               scope_.scores.dtype);
  if (score > cut_score_) return true;
  if (!(score == cut_score_) || s > cut_position_) return false;
  return scope_.select_neg_inf || score > -std::numeric_limits<float>::infinity();
}

// The first position from s on, in steps of 16, whose 16 scores are not all below the cut. One key
// in 50 is selected at most, so most steps end here, at vector speed.
int64_t AttnCursor::none_before(int64_t s) const {
  constexpr int64_t kStep = 16;
  if (scope_.scores.dtype != DSA_F32 || scope_.scores.stride[0] != 1) return s;
  const float* scores = scope_.scores.row_as<const float>(t_) + scope_.rows.column(span_, s);
  for (; s + kStep <= span_.end; s += kStep, scores += kStep) {
    int any = 0;
    for (int64_t i = 0; i < kStep; ++i) any |= scores[i] >= cut_score_ ? 1 : 0;
    if (any) break;
  }
  return s;
}

int32_t AttnCursor::next_cut(KeyPlace* places, int32_t capacity) {
  int32_t n = 0;
  if (empty_cut_) return 0;
  while (at_ < span_.end && taken_ < take_until_ && n < capacity) {
    at_ = none_before(at_);
    const int64_t stop = std::min<int64_t>(at_ + 16, span_.end);
    for (; at_ < stop && taken_ < take_until_ && n < capacity; ++at_) {
      if (!passes_cut(at_) || !show(at_, places[n])) continue;
      ++taken_;
      ++n;
    }
  }
  return n;
}

}  // namespace dsa::cpu
