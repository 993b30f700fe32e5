// The CUDA module as a context holds it: found, opened, its device ready.
#pragma once

#include <memory>
#include <string>

#include "core/backend.h"

namespace dsa {

class CudaModule {
 public:
  // Finds libdsa-cuda.so: `option_path` and `environment_path` (a file or its folder), the folder
  // "dsa" beside this library, this library's own folder, the loader's path. Throws
  // DSA_ERROR_NO_BACKEND with all that was tried.
  static std::unique_ptr<CudaModule> find(const char* option_path,
                                          const std::string& environment_path);
  ~CudaModule();
  CudaModule(const CudaModule&) = delete;
  CudaModule& operator=(const CudaModule&) = delete;

  // Opens the device; throws DSA_ERROR_NO_BACKEND with the driver's and the module's versions.
  void open(int32_t device_id);
  bool has_device() const { return device_ != nullptr; }

  const std::string& path() const { return path_; }
  const char* runtime_version() const { return backend_->runtime_version; }
  const DeviceInfo& info() const { return info_; }
  KernelList kernels() const { return backend_->kernels; }

  // Throw what the module answers.
  void load(const Kernel& kernel);
  void launch(const Kernel& kernel, const void* params, const Run& run, uint64_t needed);
  // Calls a service with the device before its arguments and the error behind them.
  template <class Service, class... Args>
  void ask(Service BackendServices::*service, Args... args) {
    BackendError error;
    if (!(backend_->services->*service)(device_, args..., &error)) throw_error(error);
  }
  // A service that cannot fail, or whose failure the next call will report.
  template <class Service, class... Args>
  auto tell(Service BackendServices::*service, Args... args) noexcept {
    return (backend_->services->*service)(device_, args...);
  }

 private:
  CudaModule(const Backend* backend, std::string path);
  [[noreturn]] static void throw_error(const BackendError& error);

  const Backend* backend_;
  std::string path_;
  BackendDevice* device_ = nullptr;
  DeviceInfo info_;
};

}  // namespace dsa
