#include "hybrid/timeline.h"

#include <algorithm>
#include <cinttypes>

namespace dsa {
namespace {

const char* stage_name(Stage stage) {
  static constexpr const char* kNames[] = {"score", "copy", "select", "cut", "attend"};
  return kNames[static_cast<int>(stage)];
}

}  // namespace

TimedEvents::~TimedEvents() {
  for (void* event : made_) cuda_.tell(&BackendServices::free_event, event);
}

void* TimedEvents::next() {
  if (used_ == made_.size()) {
    void* event = nullptr;
    cuda_.ask(&BackendServices::make_event, true, &event);
    made_.push_back(event);
  }
  return made_[used_++];
}

Timeline::Timeline(CudaModule& cuda, const Log& log, void* stream, TimedEvents& events,
                   StageSums* sums)
    : cuda_(cuda),
      log_(log),
      events_(events),
      sums_(sums),
      wanted_(log.stages() || sums),
      alone_(log.stages_alone() || sums),
      stream_(stream) {
  if (!wanted_) return;
  events_.start_again();
  cuda_.ask(&BackendServices::wait_stream, stream);
  start_ = mark(stream);
  started_ = std::chrono::steady_clock::now();
}

void* Timeline::mark(void* stream) {
  void* const event = events_.next();
  cuda_.ask(&BackendServices::record, event, stream);
  return event;
}

double Timeline::now() const {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started_)
      .count();
}

void Timeline::write(const char* route, const Chunks& chunks, int64_t shipped_bytes) {
  if (!wanted_) return;
  cuda_.ask(&BackendServices::wait_stream, stream_);
  std::stable_sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return a.chunk != b.chunk ? a.chunk < b.chunk : a.stage < b.stage;
  });
  for (Entry& entry : entries_) {
    for (int i = 0; i < 2; ++i) {
      if (!entry.events[i]) continue;
      float ms = 0;
      cuda_.ask(&BackendServices::elapsed, start_, entry.events[i], &ms);
      entry.ms[i] = static_cast<double>(ms);
    }
    if (sums_) sums_->ms[static_cast<int>(entry.stage)] += entry.ms[1] - entry.ms[0];
    if (!log_.stages()) continue;
    const Chunk& chunk = chunks[entry.chunk];
    log_.write(2, "stages: %s chunk %" PRId64 " rows %" PRId64 "..%" PRId64 " %s %.4f %.4f", route,
               entry.chunk, chunk.first, chunk.end(), stage_name(entry.stage), entry.ms[0],
               entry.ms[1]);
  }
  if (log_.stages()) log_.write(2, "stages: %s shipped %" PRId64 " bytes", route, shipped_bytes);
  if (sums_) {
    sums_->chunks = chunks.count();
    sums_->shipped_bytes = shipped_bytes;
  }
}

}  // namespace dsa
