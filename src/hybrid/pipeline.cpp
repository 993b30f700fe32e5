#include "hybrid/pipeline.h"

#include <algorithm>

#include "hybrid/cpu_cuts.h"

namespace dsa {
namespace {

// Where a chunk's rows go that are shipped whole, as BackendServices::lay_out says it.
int32_t lay_out(const Rows& rows, int64_t first, int64_t count, ShippedRow* shipped) {
  int32_t at = 0;
  for (int64_t i = 0; i < count; ++i) {
    const RowSpan span = rows.span(first + i);
    const int32_t length = span.end - span.begin;
    shipped[i] = {at, at + length};
    at += (length + kShippedUnit - 1) / kShippedUnit * kShippedUnit;
  }
  return at;
}

}  // namespace

Pipeline::Pipeline(dsa_ctx& ctx, const ForwardCall& call, const Run& run, bool filtered,
                   char* memory, char* scratch)
    : ctx_(ctx),
      cuda_(*ctx.cuda),
      ring_(*ctx.hybrid),
      call_(call),
      run_(run),
      filtered_(filtered),
      known_(!filtered && call.select.indexer.rows.on_host()),
      steps_(ctx, call),
      chunks_(call, ring_.slot_bytes()),
      layout_(call, filtered),
      memory_(memory),
      scratch_(scratch),
      timeline_(cuda_, ctx.log, run.stream, ring_.sums) {}

int64_t Pipeline::rows_of(int64_t chunk) const {
  return std::min(chunks_.rows, call_.select.indexer.rows.count - chunks_.first_row(chunk));
}

void Pipeline::copy(void* to, const void* from, int64_t bytes, void* stream) {
  if (stream == ring_.stream) shipped_bytes_ += bytes;
  if (bytes > 0) cuda_.ask(&BackendServices::copy, to, from, static_cast<uint64_t>(bytes), stream);
}

void Pipeline::run() {
  cuda_.ask(&BackendServices::lay_out, call_.select.indexer.rows, chunks_.rows, filtered_,
            layout_.shipped(memory_), layout_.totals(memory_), run_.stream);
  ship_up_to(1);
  send(0);
  // The cuts of the call before may still be on their way out of the ring.
  cuda_.ask(&BackendServices::wait, ring_.cuts_taken);
  for (int64_t c = 0; c < chunks_.count; ++c) {
    if (c + 1 < chunks_.count) send(c + 1);
    select(c);
  }
  attend(chunks_.count - 1);
  timeline_.write(filtered_ ? "hybrid_prefilter" : "hybrid", chunks_.rows,
                  call_.select.indexer.rows.count, shipped_bytes_);
}

void Pipeline::ship_up_to(int64_t last) {
  for (; next_ <= std::min(last, chunks_.count - 1); ++next_) ship(next_);
}

// Scores a chunk, and starts what can be copied without knowing more.
void Pipeline::ship(int64_t c) {
  const int32_t i = static_cast<int32_t>(c % kHybridSlots);
  const Shipment shipment = layout_.shipment(chunks_, c, memory_);
  timeline_.enqueue(c, Stage::kScore, run_.stream, [&] {
    cuda_.ask(&BackendServices::ship, steps_.select, call_.select, shipment, run_.stream);
  });
  cuda_.ask(&BackendServices::record, ring_.scored[i], run_.stream);
  cuda_.ask(&BackendServices::stream_waits, ring_.stream, ring_.scored[i]);
  const PinnedSlot pinned = slot(c);
  if (known_) {
    *pinned.total =
        lay_out(call_.select.indexer.rows, shipment.first_row, shipment.rows, pinned.shipped);
    timeline_.enqueue(c, Stage::kCopy, ring_.stream, [&] {
      copy(pinned.scores, shipment.scores, int64_t{*pinned.total} * 4, ring_.stream);
    });
    cuda_.ask(&BackendServices::record, ring_.copied[i], ring_.stream);
    return;
  }
  copy(pinned.shipped, shipment.shipped, shipment.rows * int64_t{sizeof(ShippedRow)}, ring_.stream);
  copy(pinned.total, shipment.total, sizeof(int32_t), ring_.stream);
  cuda_.ask(&BackendServices::record, ring_.listed[i], ring_.stream);
}

// Starts the copy of scores whose number the device had to say first.
void Pipeline::send(int64_t c) {
  if (known_) return;
  const int32_t i = static_cast<int32_t>(c % kHybridSlots);
  const PinnedSlot pinned = slot(c);
  cuda_.ask(&BackendServices::wait, ring_.listed[i]);
  timeline_.enqueue(c, Stage::kCopy, ring_.stream, [&] {
    copy(pinned.scores, layout_.shipment(chunks_, c, memory_).scores, int64_t{*pinned.total} * 4,
         ring_.stream);
  });
  cuda_.ask(&BackendServices::record, ring_.copied[i], ring_.stream);
}

// Finds a chunk's cuts. What comes after the cuts of the chunk before is enqueued meanwhile by one
// of the threads, 30 us of calls into the driver, or before, where the copy lets it.
void Pipeline::select(int64_t c) {
  void* const copied = ring_.copied[c % kHybridSlots];
  bool before_done = false;
  const auto before = [&] {
    if (before_done) return;
    before_done = true;
    if (c > 0) attend(c - 1);
    ship_up_to(c - 1 + kHybridSlots);
  };
  bool is_there = false;
  cuda_.ask(&BackendServices::has_happened, copied, &is_there);
  if (!is_there || timeline_.alone()) {
    before();
    cuda_.ask(&BackendServices::wait, copied);
  }
  timeline_.run(c, Stage::kSelect, [&] {
    find_cuts(ctx_, slot(c), rows_of(c), call_.select.select, run_.parallel_user, before);
  });
}

void Pipeline::attend(int64_t c) {
  const Shipment shipment = layout_.shipment(chunks_, c, memory_);
  IndexerTopkParams selected = call_.select;
  SparseAttnParams attended = call_.attend;
  attended.first_row = shipment.first_row;
  attended.rows = shipment.rows;
  steps_.passed.place(layout_.passed(memory_), shipment.first_row, shipment.rows, selected.select,
                      attended.scope[0]);
  timeline_.enqueue(c, Stage::kCut, run_.stream, [&] {
    // Read where they lie: a copy of so few bytes takes longer to start.
    cuda_.ask(&BackendServices::take, selected, shipment, slot(c).cuts, run_.stream);
  });
  if (c == chunks_.count - 1) {
    cuda_.ask(&BackendServices::record, ring_.cuts_taken, run_.stream);
  }
  timeline_.enqueue(c, Stage::kAttend, run_.stream, [&] {
    Run with = run_;
    with.workspace = scratch_;
    cuda_.launch(*steps_.attend, &attended, with, 0);
  });
}

}  // namespace dsa
