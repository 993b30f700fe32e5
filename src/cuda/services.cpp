#include "cuda/services.h"

#include "cuda/device.h"
#include "cuda/hybrid/ship.h"

namespace dsa::cuda {
namespace {

// f() on the device, its answer reported.
template <class F>
bool on_device(BackendDevice* device, const char* what, BackendError* error, F&& f) {
  const CurrentDevice current(device->id);
  cudaError_t code = current.error();
  if (code == cudaSuccess) code = f();
  return report(error, what, code);
}

cudaStream_t stream_of(void* stream) { return static_cast<cudaStream_t>(stream); }
cudaEvent_t event_of(void* event) { return static_cast<cudaEvent_t>(event); }

bool lend(BackendDevice* device, void* stream, uint64_t bytes, char** memory, BackendError* error) {
  return on_device(device, "workspace", error,
                   [&] { return lend_memory(*device, stream_of(stream), bytes, *memory, error); });
}

bool give_back(BackendDevice* device, void* stream, char* memory, BackendError* error) {
  return on_device(device, "workspace", error,
                   [&] { return cudaFreeAsync(memory, stream_of(stream)); });
}

bool is_capturing(BackendDevice* device, void* stream, bool* answer, BackendError* error) {
  return on_device(device, "exec.stream", error, [&] {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    const cudaError_t code = cudaStreamIsCapturing(stream_of(stream), &status);
    *answer = status != cudaStreamCaptureStatusNone;
    return code;
  });
}

bool make_stream(BackendDevice* device, void** stream, BackendError* error) {
  return on_device(device, "a stream", error, [&] {
    cudaStream_t made = nullptr;
    const cudaError_t code = cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking);
    *stream = made;
    return code;
  });
}

void free_stream(BackendDevice* device, void* stream) {
  const CurrentDevice current(device->id);
  cudaStreamDestroy(stream_of(stream));
}

bool make_event(BackendDevice* device, bool timed, void** event, BackendError* error) {
  return on_device(device, "an event", error, [&] {
    cudaEvent_t made = nullptr;
    const cudaError_t code =
        cudaEventCreateWithFlags(&made, timed ? cudaEventDefault : cudaEventDisableTiming);
    *event = made;
    return code;
  });
}

void free_event(BackendDevice* device, void* event) {
  const CurrentDevice current(device->id);
  cudaEventDestroy(event_of(event));
}

bool record(BackendDevice* device, void* event, void* stream, BackendError* error) {
  return on_device(device, "an event", error,
                   [&] { return cudaEventRecord(event_of(event), stream_of(stream)); });
}

bool stream_waits(BackendDevice* device, void* stream, void* event, BackendError* error) {
  return on_device(device, "an event", error,
                   [&] { return cudaStreamWaitEvent(stream_of(stream), event_of(event), 0); });
}

bool has_happened(BackendDevice* device, void* event, bool* answer, BackendError* error) {
  return on_device(device, "an event", error, [&] {
    const cudaError_t code = cudaEventQuery(event_of(event));
    *answer = code == cudaSuccess;
    return code == cudaErrorNotReady ? cudaSuccess : code;
  });
}

bool wait(BackendDevice* device, void* event, BackendError* error) {
  return on_device(device, "waiting", error, [&] { return cudaEventSynchronize(event_of(event)); });
}

bool wait_stream(BackendDevice* device, void* stream, BackendError* error) {
  return on_device(device, "waiting", error,
                   [&] { return cudaStreamSynchronize(stream_of(stream)); });
}

bool elapsed(BackendDevice* device, void* begin, void* end, float* ms, BackendError* error) {
  return on_device(device, "an event", error,
                   [&] { return cudaEventElapsedTime(ms, event_of(begin), event_of(end)); });
}

bool pin(BackendDevice* device, uint64_t bytes, char** memory, BackendError* error) {
  return on_device(device, "pinned memory", error, [&] {
    void* made = nullptr;
    const cudaError_t code = cudaHostAlloc(&made, bytes, cudaHostAllocPortable);
    *memory = static_cast<char*>(made);
    return code;
  });
}

void unpin(BackendDevice* device, char* memory) {
  const CurrentDevice current(device->id);
  cudaFreeHost(memory);
}

bool copy(BackendDevice* device, void* to, const void* from, uint64_t bytes, void* stream,
          BackendError* error) {
  return on_device(device, "a copy", error, [&] {
    return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_of(stream));
  });
}

bool copy_rows(BackendDevice* device, void* to, int64_t to_step, const void* from,
               int64_t from_step, int64_t width, int64_t rows, void* stream, BackendError* error) {
  // What cudaMemcpy2DAsync takes as a pitch.
  const auto is_pitch = [width](int64_t step) { return step >= width && step <= INT32_MAX; };
  return on_device(device, "a copy", error, [&] {
    const size_t bytes = static_cast<size_t>(width);
    if (is_pitch(to_step) && is_pitch(from_step)) {
      return cudaMemcpy2DAsync(to, static_cast<size_t>(to_step), from,
                               static_cast<size_t>(from_step), bytes, static_cast<size_t>(rows),
                               cudaMemcpyDefault, stream_of(stream));
    }
    cudaError_t code = cudaSuccess;
    for (int64_t i = 0; i < rows && code == cudaSuccess; ++i) {
      code = cudaMemcpyAsync(static_cast<char*>(to) + i * to_step,
                             static_cast<const char*>(from) + i * from_step, bytes,
                             cudaMemcpyDefault, stream_of(stream));
    }
    return code;
  });
}

}  // namespace

constinit const BackendServices kServices = {
    lend,   give_back,    is_capturing, make_stream, free_stream, make_event, free_event,
    record, stream_waits, has_happened, wait,        wait_stream, elapsed,    pin,
    unpin,  copy,         copy_rows,    ship,        send,        take};

}  // namespace dsa::cuda
