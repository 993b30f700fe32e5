// What a hybrid call did when, for DSA_LOG=stages. Where that was not asked for it costs nothing.
#pragma once

#include <chrono>
#include <vector>

#include "core/cuda_module.h"
#include "core/log.h"

namespace dsa {

enum class Stage { kScore, kCopy, kSelect, kCut, kAttend };

class Timeline {
 public:
  // Waits for the stream, so that both clocks start together.
  Timeline(CudaModule& cuda, const Log& log, void* stream);
  ~Timeline();
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  // f() enqueues a stage on a stream.
  template <class F>
  void enqueue(int64_t chunk, Stage stage, void* stream, F&& f) {
    if (!wanted_) return f();
    Entry& entry = add(chunk, stage);
    mark(entry.events[0], stream);
    f();
    mark(entry.events[1], stream);
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

  // Waits for the stream and writes a line a chunk and stage. `route`: "hybrid".
  void write(const char* route, int64_t rows, int64_t all_rows);

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
  const bool wanted_;
  void* stream_;
  void* start_ = nullptr;
  std::chrono::steady_clock::time_point started_;
  std::vector<Entry> entries_;
};

}  // namespace dsa
