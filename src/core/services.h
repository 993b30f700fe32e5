// What the module offers to calls of more than one kernel: memory, streams, copies, and the steps
// of a selection that GPU and CPU share. All functions but those that free answer false with
// `error` filled; streams and events are CUDA's, as void pointers.
#pragma once

#include "core/kernel.h"
#include "core/params.h"

namespace dsa {

struct BackendError {
  dsa_status status = DSA_OK;
  char text[384] = {};
};

// One device of one context: its memory pool and what was loaded.
struct BackendDevice;

// A row's scores among those of its chunk: [begin, end) of them. Plain numbers, that a CPU
// selection takes as its rows' ranges.
struct ShippedRow {
  int32_t begin;
  int32_t end;
};

// The last score that a row selects, and its place among its chunk's: {+inf, -1} where none is.
struct Cut {
  float score;
  int32_t place;
};

// Rows [first_row, first_row + rows) of a selection, on their way to the CPU. Device memory, but
// for the last three.
struct Shipment {
  int64_t first_row = 0;
  int64_t rows = 0;
  // Only scores above a proven bound of the row's cut are shipped; else all visible ones.
  bool filtered = false;
  char* raw = nullptr;            // scratch: a row's scores from its first visible key on
  int64_t raw_stride = 0;         // bytes
  int64_t row_room = 0;           // of `scores` a row, where `listed` is not given
  ShippedRow* shipped = nullptr;  // out: [rows]
  float* scores = nullptr;        // out: of all rows; room for rows * row_room
  int32_t* keys = nullptr;  // out: of each score, its key from the row's first visible one on;
                            // nullptr where not filtered: the row's n-th score is its n-th key

  // Pinned memory. Where rows go, where the host knows. Else row i begins at i * row_room, and the
  // other two are where the host reads rows and scores.
  const ShippedRow* listed = nullptr;
  float* host_scores = nullptr;
  ShippedRow* host_shipped = nullptr;
};

// Rows start at multiples of this in Shipment::scores.
inline constexpr int32_t kShippedUnit = 4;

struct BackendServices {
  // Memory of one call from the device's pool, and back to it, in stream order;
  // DSA_ERROR_CAPTURE while the stream is captured.
  bool (*lend)(BackendDevice* device, void* stream, uint64_t bytes, char** memory,
               BackendError* error);
  bool (*give_back)(BackendDevice* device, void* stream, char* memory, BackendError* error);
  bool (*is_capturing)(BackendDevice* device, void* stream, bool* answer, BackendError* error);

  bool (*make_stream)(BackendDevice* device, void** stream, BackendError* error);
  void (*free_stream)(BackendDevice* device, void* stream);
  // `timed`: elapsed() may be asked of it.
  bool (*make_event)(BackendDevice* device, bool timed, void** event, BackendError* error);
  void (*free_event)(BackendDevice* device, void* event);
  bool (*record)(BackendDevice* device, void* event, void* stream, BackendError* error);
  bool (*stream_waits)(BackendDevice* device, void* stream, void* event, BackendError* error);
  // An event that was never recorded has happened.
  bool (*has_happened)(BackendDevice* device, void* event, bool* answer, BackendError* error);
  // The calling thread waits.
  bool (*wait)(BackendDevice* device, void* event, BackendError* error);
  bool (*wait_stream)(BackendDevice* device, void* stream, BackendError* error);
  bool (*elapsed)(BackendDevice* device, void* begin, void* end, float* ms, BackendError* error);
  // Host memory that copies reach directly, near the calling thread's cores.
  bool (*pin)(BackendDevice* device, uint64_t bytes, char** memory, BackendError* error);
  void (*unpin)(BackendDevice* device, char* memory);
  // Between the device and pinned memory, either way.
  bool (*copy)(BackendDevice* device, void* to, const void* from, uint64_t bytes, void* stream,
               BackendError* error);

  // The same for rows of `width` bytes that lie `to_step` and `from_step` bytes apart; host memory
  // may be pageable.
  bool (*copy_rows)(BackendDevice* device, void* to, int64_t to_step, const void* from,
                    int64_t from_step, int64_t width, int64_t rows, void* stream,
                    BackendError* error);

  // Scores the rows as the fused kernel `kernel` does, and packs or filters them. Only visible keys
  // have a score; those that the mask or a table hides are NaN.
  bool (*ship)(BackendDevice* device, const Kernel* kernel, const IndexerTopkParams& params,
               const Shipment& shipment, void* stream, BackendError* error);
  // Copies scores and `shipped` to the pinned memory of a shipment that the host has not listed.
  bool (*send)(BackendDevice* device, const Shipment& shipment, void* stream, BackendError* error);
  // Writes the selection's outputs for the rows of a shipment, ascending, by the rows' cuts, which
  // lie in pinned memory.
  bool (*take)(BackendDevice* device, const IndexerTopkParams& params, const Shipment& shipment,
               const Cut* cuts, void* stream, BackendError* error);
};

}  // namespace dsa
