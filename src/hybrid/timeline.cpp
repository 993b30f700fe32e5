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

Timeline::Timeline(CudaModule& cuda, const Log& log, void* stream, StageSums* sums)
    : cuda_(cuda),
      log_(log),
      sums_(sums),
      wanted_(log.stages() || sums),
      alone_(log.stages_alone() || sums),
      stream_(stream) {
  if (!wanted_) return;
  cuda_.ask(&BackendServices::wait_stream, stream);
  mark(start_, stream);
  started_ = std::chrono::steady_clock::now();
}

Timeline::~Timeline() {
  for (const Entry& entry : entries_) {
    for (void* event : entry.events) {
      if (event) cuda_.tell(&BackendServices::free_event, event);
    }
  }
  if (start_) cuda_.tell(&BackendServices::free_event, start_);
}

Timeline::Entry& Timeline::add(int64_t chunk, Stage stage) {
  entries_.push_back({chunk, stage, {0, 0}, {nullptr, nullptr}});
  return entries_.back();
}

void Timeline::mark(void*& event, void* stream) {
  cuda_.ask(&BackendServices::make_event, true, &event);
  cuda_.ask(&BackendServices::record, event, stream);
}

double Timeline::now() const {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started_)
      .count();
}

void Timeline::write(const char* route, int64_t rows, int64_t all_rows, int64_t shipped_bytes) {
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
    const int64_t first = entry.chunk * rows;
    log_.write(2, "stages: %s chunk %" PRId64 " rows %" PRId64 "..%" PRId64 " %s %.4f %.4f", route,
               entry.chunk, first, std::min(first + rows, all_rows), stage_name(entry.stage),
               entry.ms[0], entry.ms[1]);
  }
  if (log_.stages()) log_.write(2, "stages: %s shipped %" PRId64 " bytes", route, shipped_bytes);
  if (sums_) {
    sums_->chunks = (all_rows + rows - 1) / rows;
    sums_->shipped_bytes = shipped_bytes;
  }
}

}  // namespace dsa
