// What libdsa.so and the module libdsa-cuda.so know of each other. Both are built from one tree:
// the module exports one function, which answers only to its own number and layout.
#pragma once

#include "core/kernel.h"
#include "core/params.h"
#include "core/services.h"

namespace dsa {

// Raised with every change of what stands below or of core/params.h.
inline constexpr uint32_t kBackendAbi = 2;

struct Backend {
  uint32_t layout;              // kBackendLayout, below
  const char* runtime_version;  // "13.0"
  KernelList kernels;
  // Opens a device; nullptr and the reason where there is none or its driver is too old. The
  // calling thread's current device is as before, after this and after every other function.
  BackendDevice* (*open)(int32_t device_id, DeviceInfo* info, BackendError* error);
  void (*close)(BackendDevice* device);
  // Loads a kernel's functions onto the device.
  bool (*load)(BackendDevice* device, const Kernel* kernel, BackendError* error);
  // Enqueues a call. run.workspace NULL and `needed` > 0: memory from the device's pool, in stream
  // order; DSA_ERROR_CAPTURE while the stream is captured.
  bool (*launch)(BackendDevice* device, const Kernel* kernel, const void* params, Run run,
                 uint64_t needed, BackendError* error);
  const BackendServices* services;  // core/services.h
};

// The sizes of all that crosses: another build of the same number is caught by it.
inline constexpr uint32_t kBackendLayout =
    sizeof(TopkParams) + 3 * sizeof(IndexerParams) + 5 * sizeof(IndexerTopkParams) +
    7 * sizeof(SparseAttnParams) + 11 * sizeof(MergeLseParams) + 13 * sizeof(Kernel) +
    17 * sizeof(Run) + 19 * sizeof(BackendServices) + 23 * sizeof(Shipment) +
    29 * sizeof(DeviceInfo);

// extern "C" const Backend* dsa_cuda_backend(uint32_t abi): NULL for another number than its own.
using BackendEntry = const Backend* (*)(uint32_t abi);
inline constexpr const char* kBackendEntryName = "dsa_cuda_backend";

}  // namespace dsa
