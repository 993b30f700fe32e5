// Lazy streams and their events. One lock for all: the callers hold it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>

namespace fake {

struct Stream {
  std::deque<std::function<void()>> queue;
  int64_t ran = 0;  // all before this number
  int64_t end() const { return ran + int64_t(queue.size()); }
};

struct Event {
  Stream* stream = nullptr;  // nullptr: never recorded
  int64_t position = 0;
};

class Queues {
 public:
  // A stream by its handle: one of make(), or anything the caller of the library made up.
  Stream& at(void* handle) { return streams_[handle]; }
  void drop(void* handle) { streams_.erase(handle); }

  void enqueue(void* handle, std::function<void()> work) {
    at(handle).queue.push_back(std::move(work));
  }
  void record(Event& event, void* handle) {
    event.stream = &at(handle);
    event.position = event.stream->end();
  }
  void wait(const Event& event) {
    if (event.stream) run(*event.stream, event.position);
  }
  // As a step of a stream: waits for what the event stood for when this was enqueued.
  void enqueue_wait(void* handle, const Event& event) {
    enqueue(handle, [this, event] { wait(event); });
  }
  void run(Stream& stream, int64_t until) {
    while (stream.ran < until) {
      const std::function<void()> work = std::move(stream.queue.front());
      stream.queue.pop_front();
      ++stream.ran;
      work();
    }
  }
  void run_all() {
    for (auto& [handle, stream] : streams_) run(stream, stream.end());
  }

 private:
  std::map<void*, Stream> streams_;  // nodes stay where they are
};

}  // namespace fake
