// The resolver: from a row's selection to places in the cache. The only part of the attention that
// knows selection modes, blocks and cuts; visibility, tables and pages are Rows' and KeyAxis'.
#pragma once

#include <cstdint>

#include "core/params.h"

namespace dsa::cpu {

// A row's selection is cut into pieces, each with a softmax of its own, merged in order. What is
// cut where follows from host extents alone, so results do not depend on threads. At most about 16
// pieces of at least 256 keys each.
struct AttnPieces {
  int64_t entries = 1;  // of a piece: listed entries, positions (all), keys (cut)
  int32_t count = 0;    // with the tail
  bool tail = false;    // the last piece is the keys after the last complete block
};

AttnPieces attn_pieces(const AttnScope& scope);

// At least attn_pieces().count, and never less for a larger k, block or cache.
int32_t attn_most_pieces(const AttnScope& scope);

// Walks one row's selection.
class AttnCursor {
 public:
  AttnCursor(const AttnScope& scope, const AttnPieces& pieces, int64_t t);

  // Goes to the start of a piece. Pieces are visited in ascending order, any may be left out.
  void start(int32_t piece);

  // Up to `capacity` places of the piece's next keys, in slot order; fewer than `capacity` only
  // when the piece ends.
  int32_t next(KeyPlace* places, int32_t capacity);

 private:
  int32_t next_listed(KeyPlace* places, int32_t capacity);
  int32_t next_slots(KeyPlace* places, int32_t capacity);
  int32_t next_cut(KeyPlace* places, int32_t capacity);
  int32_t next_positions(KeyPlace* places, int32_t capacity);
  bool show(int64_t s, KeyPlace& place) const {
    return !scope_.rows.hidden(t_, span_, s) && scope_.axis.place(span_.request, s, place);
  }
  // Where the row's complete blocks end.
  int64_t complete_end() const {
    return span_.begin + (span_.end - span_.begin) / scope_.index_block * scope_.index_block;
  }
  bool passes_cut(int64_t s) const;
  int64_t none_before(int64_t s) const;

  const AttnScope& scope_;
  const AttnPieces pieces_;
  const int64_t t_;
  RowSpan span_;
  int64_t listed_ = 0;  // entries of the row that count
  uint32_t base_ = 0;   // what an index holds beyond a position or block number
  const char* entries_ = nullptr;
  int64_t entry_stride_ = 0;  // bytes
  // Listed entries and positions: the walk's place and the piece's end.
  int64_t at_ = 0;
  int64_t end_ = 0;
  // Keys of the current block, or of the tail.
  int64_t key_ = 0;
  int64_t key_end_ = 0;
  // Cut.
  bool empty_cut_ = false;
  float cut_score_ = 0;
  int64_t cut_position_ = -1;
  int64_t taken_ = 0;  // keys of the row so far
  int64_t take_until_ = 0;
};

}  // namespace dsa::cpu
