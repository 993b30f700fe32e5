// What a hybrid call did when, for DSA_LOG=stages and for dsa_tune. Where neither asked for it it
// costs nothing.
#pragma once

#include <chrono>
#include <vector>

#include "core/cuda_module.h"
#include "core/log.h"

namespace dsa {

enum class Stage { kScore, kCopy, kSelect, kCut, kAttend };
inline constexpr int kStages = 5;

// A call's stages, each of them waiting for the one before: what dsa_tune is told.
struct StageSums {
  double ms[kStages] = {};
  int64_t chunks = 0;
  int64_t shipped_bytes = 0;
};

class Timeline {
 public:
  // Waits for the stream, so that both clocks start together. `sums` (optional) is filled.
  Timeline(CudaModule& cuda, const Log& log, void* stream, StageSums* sums);
  ~Timeline();
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  // Every stage is to wait for the one before it.
  bool alone() const { return alone_; }

  // f() enqueues a stage on a stream.
  template <class F>
  void enqueue(int64_t chunk, Stage stage, void* stream, F&& f) {
    if (!wanted_) return f();
    Entry& entry = add(chunk, stage);
    mark(entry.events[0], stream);
    f();
    mark(entry.events[1], stream);
    if (alone_) cuda_.ask(&BackendServices::wait_stream, stream);
  }
  // f() runs a stage on the calling thread; it may enqueue others.
  template <class F>
  void run(int64_t chunk, Stage stage, F&& f) {
    if (!wanted_) return f();
    const double begin = now();
    f();
    Entry& entry = add(chunk, stage);
    entry.ms[0] = begin;
    entry.ms[1] = now();
  }

  // Waits for the stream and writes a line a chunk and stage. `route`: "hybrid"; `shipped_bytes`:
  // to the CPU, by all chunks.
  void write(const char* route, int64_t rows, int64_t all_rows, int64_t shipped_bytes);

 private:
  struct Entry {
    int64_t chunk;
    Stage stage;
    double ms[2];  // begin and end since the call's start
    void* events[2];
  };
  Entry& add(int64_t chunk, Stage stage);
  void mark(void*& event, void* stream);
  double now() const;

  CudaModule& cuda_;
  const Log& log_;
  StageSums* sums_;
  const bool wanted_;
  const bool alone_;
  void* stream_;
  void* start_ = nullptr;
  std::chrono::steady_clock::time_point started_;
  std::vector<Entry> entries_;
};

}  // namespace dsa
