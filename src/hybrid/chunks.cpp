#include "hybrid/chunks.h"

#include <algorithm>
#include <cmath>

namespace dsa {
namespace {

// Bytes of a chunk's scores as the indexer writes them, hidden ones too. Half of 2 MiB, as causal
// rows have it, is copied in 22 us, not long compared with what starting a chunk costs.
constexpr int64_t kLeastChunk = int64_t{4} << 20;
constexpr int64_t kMostChunk = int64_t{8} << 20;
constexpr int64_t kWantedChunks = 16;
constexpr int64_t kMostRows = 4096;
constexpr int64_t kUnitRows = 32;   // rows that the indexer takes at once
constexpr int64_t kSmallShare = 4;  // of a chunk, that the first and the last one have

constexpr int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

int64_t longest_row(const ForwardCall& call) {
  return std::max<int64_t>(call.select.indexer.rows.max_length(), 1);
}

int64_t raw_stride_of(int64_t longest) { return round_up(longest * 4, 256); }

// Bytes that a chunk's scores may take.
int64_t chunk_bytes(const ForwardCall& call) {
  const int64_t rows = call.select.indexer.rows.count;
  // Far below overflow: 2^40 rows of 2^31 keys would be 2^73.
  const double all = double(rows) * double(raw_stride_of(longest_row(call)));
  const double even = std::min(all / kWantedChunks, double(kMostChunk));
  return std::clamp(static_cast<int64_t>(even), kLeastChunk, kMostChunk);
}

// Of a slot, for cuts.
int64_t cut_bytes(uint64_t slot_bytes) {
  constexpr int64_t kShare = 16, kLine = 64;
  const auto share = static_cast<int64_t>(slot_bytes) / kShare / kLine * kLine;
  return std::clamp<int64_t>(share, kLine, kMostRows * int64_t{sizeof(Cut)});
}

// Lengths of a call's rows, as far as the host knows them.
class Lengths {
 public:
  explicit Lengths(const Rows& rows)
      : rows_(rows),
        longest_(std::max<int64_t>(rows.max_length(), 1)),
        per_request_(rows.batch == 1 || rows.per_request == 0 ? rows.count : rows.per_request),
        of_request_(scores(0, per_request_)) {}

  int64_t per_request() const { return per_request_; }
  double of_request() const { return of_request_; }  // visible scores, of any of them
  // The longest of rows [first, end) of one request, which do not get shorter, or of whole ones.
  int64_t longest(int64_t end) const { return std::max<int64_t>(of(end - 1), 1); }
  // Visible scores of rows of one request.
  double scores(int64_t first, int64_t end) const {
    double sum = 0;
    for (int64_t t = first; t < end; t += kUnitRows) {
      const int64_t step = std::min(kUnitRows, end - t);
      sum += double(step) * double(of(t + step / 2));
    }
    return sum;
  }

 private:
  int64_t of(int64_t t) const {
    if (!rows_.on_host()) return longest_;
    const RowSpan span = rows_.span(t);
    return span.end - span.begin;
  }

  const Rows& rows_;
  int64_t longest_;
  int64_t per_request_;
  double of_request_;
};

// What bounds the rows of a chunk.
struct Bounds {
  int64_t scores_bytes;  // as the indexer writes them, and as indices in scratch memory
  int64_t cuts_bytes;
  int64_t slot_bytes;   // without them
  int64_t index_bytes;  // of a row

  Bounds(const ForwardCall& call, uint64_t slot)
      : scores_bytes(std::max(chunk_bytes(call), raw_stride_of(longest_row(call)))),
        cuts_bytes(cut_bytes(slot)),
        slot_bytes(static_cast<int64_t>(slot) - cuts_bytes),
        index_bytes(4 * std::min<int64_t>(call.select.select.k, longest_row(call))) {}

  bool holds(const Chunk& chunk) const {
    return chunk.rows <= kMostRows &&
           chunk.rows * std::max(raw_stride_of(chunk.longest), index_bytes) <= scores_bytes &&
           chunk.rows * int64_t{sizeof(Cut)} <= cuts_bytes &&
           chunk.room() * 4 + chunk.rows * int64_t{sizeof(ShippedRow)} <= slot_bytes;
  }
};

// As many rows from `first` on, of at most `most`, as have about `wanted` scores and fit.
Chunk grow(const Lengths& lengths, const Bounds& bounds, int64_t first, int64_t most,
           double wanted) {
  Chunk chunk{first, 0, 0};
  double scores = 0;
  for (int64_t unit = kUnitRows; chunk.rows < most && scores < wanted;) {
    const int64_t begin = chunk.end(), end = std::min(begin + unit, first + most);
    const Chunk grown{first, end - first, lengths.longest(end)};
    if (!bounds.holds(grown)) {
      if (chunk.rows > 0 || unit == 1) break;
      unit = 1;  // not even the first unit fits
      continue;
    }
    scores += lengths.scores(begin, end);
    chunk = grown;
  }
  return chunk;
}

// The chunk from row `first` on: whole requests or an even part of one, so that its rows are about
// as long as each other, which the indexer divides best.
Chunk next_chunk(const Rows& rows, const Lengths& lengths, const Bounds& bounds, int64_t first,
                 double wanted) {
  constexpr double kMore = 0.25;  // than wanted: a chunk of that is better than two
  const int64_t per_request = lengths.per_request(), end = (first / per_request + 1) * per_request;
  if (first % per_request == 0 && lengths.of_request() <= wanted * (1 + kMore)) {
    const int64_t there = (rows.count - first) / per_request;
    const double requests =
        std::min(wanted / std::max(lengths.of_request(), 1.0) + kMore, double(there));
    for (auto n = static_cast<int64_t>(requests); n > 0; --n) {
      const Chunk chunk{first, n * per_request, lengths.longest(end)};
      if (bounds.holds(chunk)) return chunk;
    }
  }
  const double left = lengths.scores(first, end);
  const double parts = std::max(1.0, std::ceil(left / wanted - kMore));
  return grow(lengths, bounds, first, end - first, std::max(1.0, left / parts * 0.98));
}

// Visible scores of a chunk that is neither the first nor the last.
double wanted_scores(const ForwardCall& call) { return double(chunk_bytes(call)) / 8; }

}  // namespace

Chunks::Chunks(const ForwardCall& call, uint64_t slot_bytes) {
  if (!has_room_for_row(call, slot_bytes)) return;
  const Rows& rows = call.select.indexer.rows;
  const Lengths lengths(rows);
  const Bounds bounds(call, slot_bytes);
  const double full = wanted_scores(call), least = full / kSmallShare;
  double left = lengths.of_request() * double(rows.count) / double(lengths.per_request());
  double rising = least;
  for (int64_t first = 0; first < rows.count; first = all_.back().end()) {
    const double falling = std::max(2 * least, left / 2);
    const double wanted = std::max(1.0, std::min({rising, falling, full}));
    all_.push_back(next_chunk(rows, lengths, bounds, first, wanted));
    const Chunk& made = all_.back();
    left -= made.rows >= lengths.per_request()
                ? lengths.of_request() * double(made.rows) / double(lengths.per_request())
                : lengths.scores(made.first, made.end());
    rising *= 2;
  }
}

double expected_chunks(const ForwardCall& call, double visible) {
  // Those at both ends have half a chunk's scores on average.
  constexpr double kSmallChunks = 2;
  return std::max(1.0, visible / wanted_scores(call) + kSmallChunks);
}

bool has_room_for_row(const ForwardCall& call, uint64_t slot_bytes) {
  return Bounds(call, slot_bytes).holds({0, 1, longest_row(call)});
}

PinnedSlot::PinnedSlot(const Chunk& chunk, char* memory, uint64_t slot_bytes) {
  scores = reinterpret_cast<float*>(memory);  // page by page, as copies are fastest
  memory += slot_bytes - static_cast<uint64_t>(cut_bytes(slot_bytes));
  cuts = reinterpret_cast<Cut*>(memory);
  shipped = reinterpret_cast<ShippedRow*>(memory) - chunk.rows;
}

HybridMemory::HybridMemory(const ForwardCall& call, bool filtered) : filtered_(filtered) {
  const auto round = [](uint64_t n) {
    return (n + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment;
  };
  const int64_t all_rows = call.select.indexer.rows.count;
  // A chunk's scores are no more than its bytes, or one row.
  const uint64_t stride = static_cast<uint64_t>(raw_stride_of(longest_row(call)));
  const double all = double(all_rows) * double(stride);
  scores_bytes_ =
      round(std::max(stride, static_cast<uint64_t>(std::min(all, double(chunk_bytes(call))))));
  rows_bytes_ = round(uint64_t(std::min(all_rows, kMostRows)) * sizeof(ShippedRow));
  uint64_t at = scores_bytes_;  // raw
  const auto take = [&at, round](uint64_t bytes) {
    const uint64_t from = at;
    at += round(bytes);
    return from;
  };
  scores_at_ = take(kHybridSlots * scores_bytes_);
  keys_at_ = take(filtered ? kHybridSlots * scores_bytes_ : 0);
  shipped_at_ = take(kHybridSlots * rows_bytes_);
  passed_at_ = take(std::min(PassedOn(call).bytes(all_rows),
                             scores_bytes_ + 2 * kWorkspaceAlignment + uint64_t(kMostRows) * 4));
  bytes = at;
}

Shipment HybridMemory::shipment(const Chunk& chunk, int32_t slot, char* base) const {
  const uint64_t scores = static_cast<uint64_t>(slot) * scores_bytes_;
  Shipment s;
  s.first_row = chunk.first;
  s.rows = chunk.rows;
  s.filtered = filtered_;
  s.raw = base;
  s.raw_stride = raw_stride_of(chunk.longest);
  s.row_room = chunk.row_room();
  s.scores = reinterpret_cast<float*>(base + scores_at_ + scores);
  if (filtered_) s.keys = reinterpret_cast<int32_t*>(base + keys_at_ + scores);
  s.shipped =
      reinterpret_cast<ShippedRow*>(base + shipped_at_ + static_cast<uint64_t>(slot) * rows_bytes_);
  return s;
}

}  // namespace dsa
