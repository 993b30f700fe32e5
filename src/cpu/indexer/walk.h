// The walk that dsa_indexer and dsa_indexer_topk share: some query rows, packed once, against the
// keys that any of them sees, packed block by block. Modes end here: the tiers see addresses.
#pragma once

#include "core/params.h"
#include "cpu/indexer/tier.h"

namespace dsa::cpu {

constexpr int32_t kMaxQueryRows = 256;
constexpr int32_t kMaxKeyBlock = 64;
constexpr int32_t kMaxPanel = 512;  // keys

// How a call is cut up; from host extents only.
struct IndexerShape {
  const IndexerTier* tier;
  uint64_t query_bytes;  // of one packed query
  uint64_t key_bytes;    // of one packed block of keys
  int32_t query_rows;    // packed together
  int32_t panel;         // keys, a multiple of tier->key_block: scored before anyone looks at them

  // `most_rows`: no more rows together than this.
  IndexerShape(const IndexerTier& tier, const IndexerParams& p, int32_t most_rows);
  uint64_t walk_bytes() const;
};

// At least the bytes of one lane's walk of any shape that `p` can get: grows with T, Hi and Di; and
// the part of it that does not belong to the queries.
uint64_t indexer_lane_bytes(const IndexerTier& tier, const IndexerParams& p);
uint64_t indexer_key_bytes(const IndexerTier& tier, const IndexerParams& p);

// Why the tier cannot score this call; nullptr: it can.
const char* indexer_refuse(const IndexerTier& tier, const IndexerParams& p);

// The keys [first, first + count) of one request that a panel holds.
struct KeyPanel {
  int32_t first;
  int32_t count;
  bool all_visible;
  uint8_t visible[kMaxPanel];  // a block-table entry outside the cache hides its keys
};

// What one lane works in.
class IndexerWalk {
 public:
  // `memory`: walk_bytes, 64-byte aligned.
  IndexerWalk(const IndexerShape& shape, const IndexerParams& p, char* memory);

  // Takes rows [t0, t0 + count): their spans and packed queries. Cheap when they are the last ones.
  void take_rows(int64_t t0, int32_t count);

  int64_t first_row() const { return t0_; }
  int32_t rows() const { return count_; }
  const RowSpan& span(int32_t i) const { return spans_[i]; }

  // Scores the keys at positions [begin, end) for the rows that see them, in ascending panels.
  // sink(i, low, high, scores, panel): row t0 + i sees keys [low, high) but for those that
  // panel.visible hides (at [key - panel.first]); scores[0] is key low's. The mask is not applied.
  template <class Sink>
  void score(int64_t begin, int64_t end, Sink&& sink) {
    for (int32_t i = 0; i < count_;) {
      const int32_t run = same_keys(i);
      int64_t high = begin;
      for (int32_t j = i; j < run; ++j) {
        if (spans_[j].begin < spans_[j].end && spans_[j].end > high) high = spans_[j].end;
      }
      if (high > end) high = end;
      for (int64_t s = begin; (s = first_seen(i, run, s)) < high; s += shape_.panel) {
        const int64_t n = high - s < shape_.panel ? high - s : shape_.panel;
        score_panel(i, run, static_cast<int32_t>(s), static_cast<int32_t>(n), high);
        for (int32_t j = i; j < run; ++j) {
          const int32_t from = spans_[j].begin > s ? spans_[j].begin : static_cast<int32_t>(s);
          const int32_t to = spans_[j].end < s + n ? spans_[j].end : static_cast<int32_t>(s + n);
          if (from >= to) continue;
          sink(j, from, to, scores_ + int64_t{j} * shape_.panel + (from - s), panel_);
        }
      }
      i = run;
    }
  }

 private:
  // The addresses and scales of one block's keys.
  struct KeyBlock {
    const void* rows[kMaxKeyBlock];
    float scale[kMaxKeyBlock];
  };

  int32_t same_keys(int32_t i) const;
  // The first key from s on that one of the rows [i, end) sees.
  int64_t first_seen(int32_t i, int32_t end, int64_t s) const;
  void resolve(int32_t request, int32_t first, int32_t count, KeyBlock& block,
               uint8_t* visible) const;
  void score_panel(int32_t row, int32_t row_end, int32_t first, int32_t count, int64_t end);
  void score_block(int32_t row, int32_t row_end, int32_t first, int32_t count,
                   const KeyBlock& block, const KeyBlock* next, float* scores);

  const IndexerShape shape_;
  const IndexerParams& p_;
  const bool prefetch_;
  int64_t t0_ = -1;
  int32_t count_ = 0;
  char* queries_;  // [query_rows] packed
  char* keys_;     // one packed block
  float* scores_;  // [query_rows, panel]
  KeyPanel panel_;
  KeyBlock blocks_[2];
  uint8_t next_visible_[kMaxKeyBlock];
  RowSpan spans_[kMaxQueryRows];
};

}  // namespace dsa::cpu
