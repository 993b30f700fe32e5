#include "hybrid/ring.h"

#include <algorithm>
#include <thread>

#include "core/error.h"

namespace dsa {
namespace {

constexpr uint64_t kDefaultPinned = uint64_t{256} << 20;
// Four slots of 16 MiB: chunks have 8, and a row of 4 million keys still fits.
constexpr uint64_t kMostPinned = uint64_t{64} << 20;

}  // namespace

HybridRing::HybridRing(CudaModule& cuda, const CpuChoice& cpus, uint64_t pinned_bytes)
    : timed_events(cuda), cuda_(cuda), cpus_(cpus) {
  const uint64_t bytes = std::min(pinned_bytes ? pinned_bytes : kDefaultPinned, kMostPinned);
  slot_bytes_ = bytes / kHybridSlots / 256 * 256;
}

HybridRing::~HybridRing() { free_all(); }

void HybridRing::make_ready() {
  if (ready_) return;
  try {
    cuda_.ask(&BackendServices::make_stream, &scores_stream);
    cuda_.ask(&BackendServices::make_stream, &copies_stream);
    each_event([this](void*& event) { cuda_.ask(&BackendServices::make_event, false, &event); });
    pin_near();
  } catch (...) {
    free_all();
    throw;
  }
  ready_ = true;
}

// On a thread of its own that runs on the cores that will select: pages come from the node of the
// thread that asks for them.
void HybridRing::pin_near() {
  BackendError error;
  bool done = false;
  std::thread near([&] {
    sched_setaffinity(0, sizeof cpus_.cpus, &cpus_.cpus);
    done = cuda_.tell(&BackendServices::pin, kHybridSlots * slot_bytes_, &memory_, &error);
  });
  near.join();
  if (!done) fail(error.status, "%s", error.text);
}

void HybridRing::free_all() noexcept {
  each_event([this](void*& event) {
    if (event) cuda_.tell(&BackendServices::free_event, event);
    event = nullptr;
  });
  for (void** stream : {&scores_stream, &copies_stream}) {
    if (*stream) cuda_.tell(&BackendServices::free_stream, *stream);
    *stream = nullptr;
  }
  if (memory_) cuda_.tell(&BackendServices::unpin, memory_);
  memory_ = nullptr;
}

}  // namespace dsa
