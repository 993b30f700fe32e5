#include "hybrid/pipeline.h"

#include <sched.h>

#include <algorithm>

namespace dsa {
namespace {

// Where a chunk's rows go, one behind the other; how many scores that makes.
int64_t lay_out(const Rows& all, const Chunk& chunk, ShippedRow* shipped) {
  // Rows of one request at a time: a row's place in its request costs a division.
  Rows rows = all;
  const int64_t per_request = all.batch == 1 ? all.count : all.per_request;
  rows.batch = 1;
  int32_t at = 0;
  int64_t of_request = chunk.first % per_request;
  for (int64_t i = 0; i < chunk.rows; ++i) {
    const RowSpan span = rows.span(of_request);
    const int32_t length = span.end - span.begin;
    shipped[i] = {at, at + length};
    at += (length + kShippedUnit - 1) / kShippedUnit * kShippedUnit;
    if (++of_request == per_request) of_request = 0;
  }
  return at;
}

// What a lane does that has nothing to do: it will have in some microseconds, unless the machine
// has fewer cores than lanes. It leaves its core to a sibling thread meanwhile.
void pause_lane(int32_t times) {
  constexpr int32_t kSpins = 2000;
  if (times > kSpins) {
    sched_yield();
    return;
  }
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

Pipeline::Pipeline(dsa_ctx& ctx, const ForwardCall& call, const Run& run, bool filtered,
                   char* memory, char* scratch)
    : cuda_(*ctx.cuda),
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
      cuts_(ctx, call, chunks_, filtered, run.parallel_user),
      turns_(chunks_, cuts_.turn_rows()),
      timeline_(cuda_, ctx.log, run.stream, ring_.timed_events, ring_.sums) {}

void Pipeline::run() {
  cuda_.ask(&BackendServices::record, ring_.given, run_.stream);
  cuda_.ask(&BackendServices::stream_waits, ring_.scores_stream, ring_.given);
  ship(shipped_++);  // on its way while the lanes come together
  run_.lanes(cuts_.lanes(), [this](int32_t lane) { run_lane(lane); });
  if (thrown_) std::rethrow_exception(thrown_);
  timeline_.write(filtered_ ? "hybrid_prefilter" : "hybrid", chunks_, shipped_bytes_);
}

void Pipeline::run_lane(int32_t lane) {
  constexpr int32_t kPatience = 100;  // pauses: longer than a turn takes
  RowTurns::Turn turn;
  for (int32_t idle = 0; !over_.load(std::memory_order_acquire);) {
    // What can be started goes before rows: others have those too.
    const bool drives = lane == 0 || idle > kPatience;
    if ((drives && drive()) || find_some_cuts(lane, turn)) {
      idle = 0;
    } else {
      pause_lane(idle++);
    }
  }
}

bool Pipeline::find_some_cuts(int32_t lane, RowTurns::Turn& turn) {
  if (!turns_.take(turn)) return false;
  cuts_.find(lane, pinned(turn.chunk), chunks_[turn.chunk], turn.begin, turn.end);
  if (turns_.finish(turn)) {
    if (timeline_.wanted()) selected_ms_[slot_of(turn.chunk)] = timeline_.now();
    turns_.complete(turn.chunk);
  }
  return true;
}

// Nothing may be thrown through a parallel region.
bool Pipeline::drive() noexcept {
  if (driven_.load(std::memory_order_relaxed) ||
      driven_.exchange(true, std::memory_order_acquire)) {
    return false;
  }
  bool moved = false;
  if (!over_.load(std::memory_order_relaxed)) {
    try {
      moved = advance();
    } catch (...) {
      thrown_ = std::current_exception();
    }
    if (thrown_ || attended_ == chunks_.count()) over_.store(true, std::memory_order_release);
  }
  driven_.store(false, std::memory_order_release);
  return moved;
}

bool Pipeline::advance() {
  // Asking takes a microsecond: not while there are rows enough to select.
  const bool hungry = turns_.waiting() < 2 * cuts_.lanes() * cuts_.turn_rows();
  if (hungry && arrived_ < shipped_ && has_arrived(arrived_)) {
    arrive();
    return true;
  }
  if (attended_ < arrived_ && turns_.is_complete(attended_)) {
    attend(attended_++);
    return true;
  }
  // Lanes without a row wait for the next chunk: that it is there must not go unseen for as long as
  // it takes to ship another, while one is behind it already.
  const bool awaited = turns_.waiting() == 0 && shipped_ >= arrived_ + 2;
  const int64_t on_their_way = timeline_.alone() ? 1 : kHybridSlots;
  if (!awaited && shipped_ < chunks_.count() && shipped_ < attended_ + on_their_way) {
    ship(shipped_++);
    return true;
  }
  if (attended_ == arrived_ && arrived_ < shipped_) {
    cuda_.ask(&BackendServices::wait, ring_.arrived[slot_of(arrived_)]);
    arrive();
    return true;
  }
  return false;
}

bool Pipeline::has_arrived(int64_t chunk) {
  bool answer = false;
  cuda_.ask(&BackendServices::has_happened, ring_.arrived[slot_of(chunk)], &answer);
  return answer;
}

void Pipeline::arrive() {
  if (timeline_.wanted()) arrived_ms_[slot_of(arrived_)] = timeline_.now();
  turns_.arrive(arrived_++);
}

Shipment Pipeline::shipment(int64_t chunk) const {
  Shipment s = layout_.shipment(chunks_[chunk], slot_of(chunk), memory_);
  const PinnedSlot slot = pinned(chunk);
  if (known_) {
    s.listed = slot.shipped;
  } else {
    s.host_scores = slot.scores;
    s.host_shipped = slot.shipped;
  }
  return s;
}

// Scores a chunk, and sends the scores to the CPU.
void Pipeline::ship(int64_t c) {
  const int32_t i = slot_of(c);
  const PinnedSlot slot = pinned(c);
  const Shipment shipment = this->shipment(c);
  const int64_t total = known_ ? lay_out(call_.select.indexer.rows, chunks_[c], slot.shipped) : 0;
  cuda_.ask(&BackendServices::stream_waits, ring_.scores_stream, ring_.taken[i]);
  timeline_.enqueue(c, Stage::kScore, ring_.scores_stream, [&] {
    cuda_.ask(&BackendServices::ship, steps_.select, call_.select, shipment, ring_.scores_stream);
  });
  cuda_.ask(&BackendServices::record, ring_.scored[i], ring_.scores_stream);
  cuda_.ask(&BackendServices::stream_waits, ring_.copies_stream, ring_.scored[i]);
  timeline_.enqueue(c, Stage::kCopy, ring_.copies_stream, [&] {
    if (!known_) {
      cuda_.ask(&BackendServices::send, shipment, ring_.copies_stream);
    } else if (total > 0) {
      cuda_.ask(&BackendServices::copy, static_cast<void*>(slot.scores),
                static_cast<const void*>(shipment.scores), static_cast<uint64_t>(total) * 4,
                ring_.copies_stream);
    }
  });
  cuda_.ask(&BackendServices::record, ring_.arrived[i], ring_.copies_stream);
  shipped_bytes_ += total * 4;
}

void Pipeline::attend(int64_t c) {
  const int32_t i = slot_of(c);
  const PinnedSlot slot = pinned(c);
  if (timeline_.wanted()) {
    // A lane may have begun with this chunk while others still had the one before.
    const double before = c > 0 ? selected_ms_[slot_of(c - 1)] : 0;
    timeline_.add(c, Stage::kSelect, std::max(arrived_ms_[i], before), selected_ms_[i]);
    for (int64_t t = 0; !known_ && t < chunks_[c].rows; ++t) {
      shipped_bytes_ +=
          int64_t{sizeof(ShippedRow)} + 4 * int64_t{slot.shipped[t].end - slot.shipped[t].begin};
    }
  }
  const Shipment shipment = this->shipment(c);
  IndexerTopkParams selected = call_.select;
  SparseAttnParams attended = call_.attend;
  attended.first_row = shipment.first_row;
  attended.rows = shipment.rows;
  steps_.passed.place(layout_.passed(memory_), shipment.first_row, shipment.rows, selected.select,
                      attended.scope[0]);
  timeline_.enqueue(c, Stage::kCut, run_.stream, [&] {
    // Read where they lie: a copy of so few bytes takes longer to start.
    cuda_.ask(&BackendServices::take, selected, shipment, static_cast<const Cut*>(slot.cuts),
              run_.stream);
  });
  cuda_.ask(&BackendServices::record, ring_.taken[i], run_.stream);
  timeline_.enqueue(c, Stage::kAttend, run_.stream, [&] {
    Run with = run_;
    with.workspace = scratch_;
    cuda_.launch(*steps_.attend, &attended, with, 0);
  });
}

}  // namespace dsa
