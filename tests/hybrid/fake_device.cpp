#include "fake_device.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "core/backend.h"
#include "fake_queue.h"
#include "fake_steps.h"

namespace dsa {
struct BackendDevice {};
}  // namespace dsa

namespace fake {
namespace {

using namespace dsa;

struct State {
  std::recursive_mutex mutex;
  Queues queues;
  bool capturing = false;
  int64_t fail_at = 0, calls = 0, live = 0, pinned = 0, pins = 0;
};
State& state() {
  static State* const made = new State;  // outlives every context
  return *made;
}

// Takes the lock, counts the call, and fails it when its number has come.
class Turn {
 public:
  explicit Turn(BackendError* error) : lock_(state().mutex) {
    if (++state().calls != state().fail_at) return;
    error->status = DSA_ERROR_DEVICE;
    std::snprintf(error->text, sizeof error->text, "the fake device was told to fail");
    failed_ = true;
  }
  bool failed() const { return failed_; }

 private:
  std::lock_guard<std::recursive_mutex> lock_;
  bool failed_ = false;
};

char* allocate(uint64_t bytes) {
  char* const memory = static_cast<char*>(std::aligned_alloc(256, (bytes + 255) / 256 * 256 + 256));
  std::memset(memory, 0xff, bytes);
  ++state().live;
  return memory;
}
void release(char* memory) {
  std::free(memory);
  --state().live;
}

// The CPU's portable kernels under names of the device.
struct Kernels {
  Kernel kernels[5];
  const Kernel* pointers[5];
  int32_t count = 0;
  Kernels() {
    static constexpr const char* kNames[] = {"cuda.indexer.fake", "cuda.topk.fake",
                                             "cuda.indexer_topk.fake", "cuda.sparse_attn.fake",
                                             "cuda.merge_lse.fake"};
    const KernelList list = cpu_kernels();
    for (int32_t i = 0; i < list.size && count < 5; ++i) {
      const Kernel& kernel = *list.data[i];
      if (kernel.tier != CpuTier::kScalar) continue;
      kernels[count] = kernel;
      kernels[count].name = kNames[kernel.operation - 1];
      kernels[count].family = "fake";
      kernels[count].device = DSA_DEVICE_CUDA;
      kernels[count].load = [] { return 0; };
      pointers[count] = &kernels[count];
      ++count;
    }
  }
};

void run_kernel(const Kernel& kernel, const void* params, const Run& run) {
  if (kernel.operation != DSA_OP_SPARSE_ATTN) {
    kernel.launch(params, run);
    return;
  }
  const auto& p = *static_cast<const SparseAttnParams*>(params);
  for (int64_t t = p.first_row; t < p.first_row + p.rows; ++t) {
    RowNumbers numbers[2];
    const SparseAttnParams row = one_row(p, t, numbers);
    kernel.launch(&row, run);
  }
}

std::vector<char> copy_of(const Kernel& kernel, const void* params) {
  static constexpr size_t kBytes[] = {sizeof(IndexerParams), sizeof(TopkParams),
                                      sizeof(IndexerTopkParams), sizeof(SparseAttnParams),
                                      sizeof(MergeLseParams)};
  const char* const from = static_cast<const char*>(params);
  return std::vector<char>(from, from + kBytes[kernel.operation - 1]);
}

bool launch(BackendDevice*, const Kernel* kernel, const void* params, Run run, uint64_t needed,
            BackendError* error) {
  const Turn turn(error);
  if (turn.failed()) return false;
  const std::vector<char> copied = copy_of(*kernel, params);
  state().queues.enqueue(run.stream, [kernel, copied, run, needed] {
    Run with = run;
    with.parallel = &one_thread();
    char* const own = run.workspace ? nullptr : allocate(needed);
    if (own) with.workspace = own;
    run_kernel(*kernel, copied.data(), with);
    if (own) release(own);
  });
  return true;
}

bool lend(BackendDevice*, void*, uint64_t bytes, char** memory, BackendError* error) {
  const Turn turn(error);
  if (turn.failed()) return false;
  *memory = allocate(bytes);
  return true;
}
bool give_back(BackendDevice*, void* stream, char* memory, BackendError*) {
  const std::lock_guard<std::recursive_mutex> lock(state().mutex);
  state().queues.enqueue(stream, [memory] { release(memory); });
  return true;
}
bool is_capturing(BackendDevice*, void*, bool* answer, BackendError* error) {
  const Turn turn(error);
  *answer = state().capturing;
  return !turn.failed();
}

bool make_stream(BackendDevice*, void** stream, BackendError* error) {
  const Turn turn(error);
  if (turn.failed()) return false;
  *stream = allocate(1);
  return true;
}
void free_stream(BackendDevice*, void* stream) {
  const std::lock_guard<std::recursive_mutex> lock(state().mutex);
  Stream& queue = state().queues.at(stream);
  state().queues.run(queue, queue.end());
  release(static_cast<char*>(stream));
}
bool make_event(BackendDevice*, bool, void** event, BackendError* error) {
  const Turn turn(error);
  if (turn.failed()) return false;
  *event = new Event;
  ++state().live;
  return true;
}
void free_event(BackendDevice*, void* event) {
  const std::lock_guard<std::recursive_mutex> lock(state().mutex);
  delete static_cast<Event*>(event);
  --state().live;
}
bool record(BackendDevice*, void* event, void* stream, BackendError* error) {
  const Turn turn(error);
  if (!turn.failed()) state().queues.record(*static_cast<Event*>(event), stream);
  return !turn.failed();
}
bool stream_waits(BackendDevice*, void* stream, void* event, BackendError* error) {
  const Turn turn(error);
  if (!turn.failed()) state().queues.enqueue_wait(stream, *static_cast<Event*>(event));
  return !turn.failed();
}
bool has_happened(BackendDevice*, void* event, bool* answer, BackendError* error) {
  const Turn turn(error);
  const Event& asked = *static_cast<Event*>(event);
  *answer = !asked.stream || asked.stream->ran >= asked.position;
  return !turn.failed();
}
bool wait(BackendDevice*, void* event, BackendError* error) {
  const Turn turn(error);
  if (!turn.failed()) state().queues.wait(*static_cast<Event*>(event));
  return !turn.failed();
}
// Also what a call that failed does to be sure that nothing runs any more: it does not fail.
bool wait_stream(BackendDevice*, void* stream, BackendError*) {
  const std::lock_guard<std::recursive_mutex> lock(state().mutex);
  Stream& queue = state().queues.at(stream);
  state().queues.run(queue, queue.end());
  return true;
}
bool elapsed(BackendDevice*, void* begin, void* end, float* ms, BackendError* error) {
  const Turn turn(error);
  if (turn.failed()) return false;
  *ms = float(static_cast<Event*>(end)->position - static_cast<Event*>(begin)->position);
  return true;
}
bool pin(BackendDevice*, uint64_t bytes, char** memory, BackendError* error) {
  const Turn turn(error);
  if (turn.failed()) return false;
  *memory = allocate(bytes);
  state().pinned += int64_t(bytes);
  ++state().pins;
  return true;
}
void unpin(BackendDevice*, char* memory) {
  const std::lock_guard<std::recursive_mutex> lock(state().mutex);
  release(memory);
}
bool copy(BackendDevice*, void* to, const void* from, uint64_t bytes, void* stream,
          BackendError* error) {
  const Turn turn(error);
  if (turn.failed()) return false;
  state().queues.enqueue(stream, [to, from, bytes] { std::memcpy(to, from, bytes); });
  return true;
}

bool copy_rows(BackendDevice*, void* to, int64_t to_step, const void* from, int64_t from_step,
               int64_t width, int64_t rows, void* stream, BackendError* error) {
  const Turn turn(error);
  if (turn.failed()) return false;
  state().queues.enqueue(stream, [=] {
    for (int64_t i = 0; i < rows; ++i) {
      std::memcpy(static_cast<char*>(to) + i * to_step,
                  static_cast<const char*>(from) + i * from_step, size_t(width));
    }
  });
  return true;
}

bool ship(BackendDevice*, const Kernel*, const IndexerTopkParams& p, const Shipment& s,
          void* stream, BackendError* error) {
  const Turn turn(error);
  if (turn.failed()) return false;
  state().queues.enqueue(stream, [=] {
    // From the last row on: where they lie is for the list of rows to say.
    for (int64_t i = s.rows - 1; i >= 0; --i) {
      ship_row(p, s, i, scores_of(p.indexer, s.first_row + i));
    }
  });
  return true;
}

bool send(BackendDevice*, const Shipment& s, void* stream, BackendError* error) {
  const Turn turn(error);
  if (turn.failed()) return false;
  state().queues.enqueue(stream, [=] {
    for (int64_t i = 0; i < s.rows; ++i) send_row(s, i);
  });
  return true;
}

bool take(BackendDevice*, const IndexerTopkParams& p, const Shipment& s, const Cut* cuts,
          void* stream, BackendError* error) {
  const Turn turn(error);
  if (turn.failed()) return false;
  state().queues.enqueue(stream, [=] {
    for (int64_t i = 0; i < s.rows; ++i) take_row(p, s, i, cuts[i]);
  });
  return true;
}

BackendDevice* open(int32_t, DeviceInfo* info, BackendError*) {
  info->compute_capability = info->own_capability = 90;
  info->multiprocessors = 1;
  std::snprintf(info->name, sizeof info->name, "fake");
  return new BackendDevice;
}
void close(BackendDevice* device) { delete device; }
bool load(BackendDevice*, const Kernel*, BackendError*) { return true; }

constexpr BackendServices kServices = {
    lend,   give_back,    is_capturing, make_stream, free_stream, make_event, free_event,
    record, stream_waits, has_happened, wait,        wait_stream, elapsed,    pin,
    unpin,  copy,         copy_rows,    ship,        send,        take};

}  // namespace
}  // namespace fake

extern "C" __attribute__((visibility("default"))) const dsa::Backend* dsa_cuda_backend(
    uint32_t abi) {
  static const fake::Kernels kernels;
  static const dsa::Backend backend = {
      dsa::kBackendLayout, "0.0",           {kernels.pointers, kernels.count},
      fake::open,          fake::close,     fake::load,
      fake::launch,        &fake::kServices};
  return abi == dsa::kBackendAbi ? &backend : nullptr;
}

extern "C" __attribute__((visibility("default"))) const FakeControl* dsa_fake_control() {
  using fake::state;
  using Lock = std::lock_guard<std::recursive_mutex>;
  static const FakeControl control = {[] {
                                        const Lock lock(state().mutex);
                                        state().queues.run_all();
                                      },
                                      [](bool on) {
                                        const Lock lock(state().mutex);
                                        state().capturing = on;
                                      },
                                      [](int64_t call) {
                                        const Lock lock(state().mutex);
                                        state().calls = 0;
                                        state().fail_at = call;
                                      },
                                      [] {
                                        const Lock lock(state().mutex);
                                        return state().calls;
                                      },
                                      [] {
                                        const Lock lock(state().mutex);
                                        return state().live;
                                      },
                                      [] {
                                        const Lock lock(state().mutex);
                                        return state().pinned;
                                      },
                                      [] {
                                        const Lock lock(state().mutex);
                                        return state().pins;
                                      }};
  return &control;
}
