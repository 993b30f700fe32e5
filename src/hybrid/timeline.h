// What a hybrid call did when, for DSA_LOG=stages and for dsa_tune. Where neither asked for it it
// costs nothing.
#pragma once

#include <chrono>
#include <vector>

#include "core/cuda_module.h"
#include "core/log.h"
#include "hybrid/chunks.h"

namespace dsa {

enum class Stage { kScore, kCopy, kSelect, kCut, kAttend };
inline constexpr int kStages = 5;

// A call's stages, each of them waiting for the one before: what dsa_tune is told.
struct StageSums {
  double ms[kStages] = {};
  int64_t chunks = 0;
  int64_t shipped_bytes = 0;
};

// Events that have a time, made once: making one takes longer than a stage.
class TimedEvents {
 public:
  explicit TimedEvents(CudaModule& cuda) : cuda_(cuda) {}
  ~TimedEvents();
  TimedEvents(const TimedEvents&) = delete;
  TimedEvents& operator=(const TimedEvents&) = delete;

  void start_again() { used_ = 0; }
  void* next();

 private:
  CudaModule& cuda_;
  std::vector<void*> made_;
  size_t used_ = 0;
};

class Timeline {
 public:
  // Waits for the stream, so that both clocks start together. `sums` (optional) is filled.
  Timeline(CudaModule& cuda, const Log& log, void* stream, TimedEvents& events, StageSums* sums);
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  bool wanted() const { return wanted_; }
  // Every stage is to wait for the one before it.
  bool alone() const { return alone_; }
  // Milliseconds since the call's start.
  double now() const;

  // f() enqueues a stage on a stream.
  template <class F>
  void enqueue(int64_t chunk, Stage stage, void* stream, F&& f) {
    if (!wanted_) return f();
    void* const begin = mark(stream);
    f();
    entries_.push_back({chunk, stage, {0, 0}, {begin, mark(stream)}});
    if (alone_) cuda_.ask(&BackendServices::wait_stream, stream);
  }
  // A stage on the CPU, by now().
  void add(int64_t chunk, Stage stage, double begin, double end) {
    if (wanted_) entries_.push_back({chunk, stage, {begin, end}, {nullptr, nullptr}});
  }

  // Waits for the stream and writes a line a chunk and stage. `route`: "hybrid"; `shipped_bytes`:
  // to the CPU, by all chunks.
  void write(const char* route, const Chunks& chunks, int64_t shipped_bytes);

 private:
  struct Entry {
    int64_t chunk;
    Stage stage;
    double ms[2];  // begin and end since the call's start
    void* events[2];
  };
  void* mark(void* stream);

  CudaModule& cuda_;
  const Log& log_;
  TimedEvents& events_;
  StageSums* sums_;
  const bool wanted_;
  const bool alone_;
  void* stream_;
  void* start_ = nullptr;
  std::chrono::steady_clock::time_point started_;
  std::vector<Entry> entries_;
};

}  // namespace dsa
