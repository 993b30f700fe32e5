// The module's one exported function, and what stands behind it: devices, launches.
#include <cctype>
#include <cstdio>
#include <fstream>
#include <new>
#include <string>

#include "cuda/capability.h"
#include "cuda/device.h"
#include "cuda/registry.h"
#include "cuda/services.h"

namespace dsa {
namespace {

using namespace cuda;

constexpr const char* kRuntimeVersion = DSA_CUDA_VERSION;  // of the toolkit it was built with

// Why there is no device, in words that say what to do.
void describe_missing(BackendError* error, int32_t device_id, cudaError_t code) {
  error->status = DSA_ERROR_NO_BACKEND;
  int driver = 0, count = 0;
  cudaDriverGetVersion(&driver);
  if (driver == 0) {
    std::snprintf(error->text, sizeof error->text,
                  "there is no CUDA driver (libcuda.so.1); this module needs one for CUDA %s",
                  kRuntimeVersion);
  } else if (driver < CUDART_VERSION / 1000 * 1000) {
    std::snprintf(error->text, sizeof error->text,
                  "the CUDA driver is for CUDA %d.%d, this module needs %d.0 or later",
                  driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000);
  } else if (code == cudaErrorInvalidDevice && cudaGetDeviceCount(&count) == cudaSuccess) {
    std::snprintf(error->text, sizeof error->text,
                  "ctx_options.device_id is %d, there are %d CUDA devices", device_id, count);
  } else if (code == cudaErrorNoKernelImageForDevice) {
    int major = 0, minor = 0;
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device_id);
    cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device_id);
    std::snprintf(error->text, sizeof error->text,
                  "CUDA device %d has compute capability %d.%d, this module's code is for %s",
                  device_id, major, minor, DSA_CUDA_ARCHITECTURES);
  } else {
    std::snprintf(error->text, sizeof error->text, "CUDA device %d: %s (%s)", device_id,
                  cudaGetErrorString(code), cudaGetErrorName(code));
  }
  cudaGetLastError();
}

// By the kernel's files; -1 where they do not say.
int32_t numa_node_of(int32_t id) {
  char bus[32] = {};  // "0000:1B:00.0"
  if (cudaDeviceGetPCIBusId(bus, sizeof bus, id) != cudaSuccess) return -1;
  for (char& c : bus) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  std::ifstream file(std::string("/sys/bus/pci/devices/") + bus + "/numa_node");
  int32_t node = -1;
  return file >> node ? node : -1;
}

cudaError_t read_info(int32_t id, DeviceInfo& info) {
  cudaDeviceProp properties;
  const cudaError_t error = cudaGetDeviceProperties(&properties, id);
  if (error != cudaSuccess) return error;
  info.id = id;
  info.own_capability = properties.major * 10 + properties.minor;
  info.multiprocessors = properties.multiProcessorCount;
  info.shared_bytes = static_cast<int32_t>(properties.sharedMemPerBlockOptin);
  info.l2_bytes = properties.l2CacheSize;
  info.numa_node = numa_node_of(id);
  std::snprintf(info.name, sizeof info.name, "%s", properties.name);
  return code_capability(info.compute_capability);
}

// A pool of the context's own keeps what it has: calls without a workspace allocate once.
cudaError_t make_pool(int32_t id, cudaMemPool_t& pool) {
  cudaMemPoolProps properties = {};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = id;
  cudaError_t error = cudaMemPoolCreate(&pool, &properties);
  if (error != cudaSuccess) return error;
  uint64_t keep = UINT64_MAX;
  error = cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep);
  if (error != cudaSuccess) cudaMemPoolDestroy(pool);
  return error;
}

BackendDevice* open(int32_t device_id, DeviceInfo* info, BackendError* error) {
  int count = 0;
  cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaSuccess && device_id >= count) code = cudaErrorInvalidDevice;
  if (code != cudaSuccess) {
    describe_missing(error, device_id, code);
    return nullptr;
  }
  const CurrentDevice current(device_id);
  BackendDevice made;
  made.id = device_id;
  code = current.error();
  if (code == cudaSuccess) code = read_info(device_id, made.info);
  if (code == cudaSuccess) code = make_pool(device_id, made.pool);
  if (code != cudaSuccess) {
    describe_missing(error, device_id, code);
    return nullptr;
  }
  BackendDevice* device = new (std::nothrow) BackendDevice(made);
  if (!device) {
    cudaMemPoolDestroy(made.pool);
    error->status = DSA_ERROR_NO_MEMORY;
    std::snprintf(error->text, sizeof error->text, "out of host memory");
    return nullptr;
  }
  *info = device->info;
  return device;
}

void close(BackendDevice* device) {
  // Frees that are enqueued on it still take place.
  cudaMemPoolDestroy(device->pool);
  delete device;
}

bool load(BackendDevice* device, const Kernel* kernel, BackendError* error) {
  const CurrentDevice current(device->id);
  cudaError_t code = current.error();
  if (code == cudaSuccess) code = static_cast<cudaError_t>(kernel->load());
  return report(error, kernel->name, code);
}

bool launch(BackendDevice* device, const Kernel* kernel, const void* params, Run run,
            uint64_t needed, BackendError* error) {
  const CurrentDevice current(device->id);
  const cudaStream_t stream = static_cast<cudaStream_t>(run.stream);
  run.device = &device->info;
  cudaError_t code = current.error();
  char* lent = nullptr;
  if (code == cudaSuccess && needed > 0 && !run.workspace) {
    code = lend_memory(*device, stream, needed, lent, error);
    run.workspace = lent;
  }
  if (code == cudaSuccess) code = static_cast<cudaError_t>(kernel->launch(params, run));
  if (lent) {
    const cudaError_t freed = cudaFreeAsync(lent, stream);
    if (code == cudaSuccess) code = freed;
  }
  return report(error, kernel->name, code);
}

}  // namespace
}  // namespace dsa

extern "C" __attribute__((visibility("default"))) const dsa::Backend* dsa_cuda_backend(
    uint32_t abi) {
  static const dsa::Backend backend = {
      dsa::kBackendLayout, dsa::kRuntimeVersion, dsa::cuda::kernels(), dsa::open, dsa::close,
      dsa::load,           dsa::launch,          &dsa::cuda::kServices};
  return abi == dsa::kBackendAbi ? &backend : nullptr;
}
