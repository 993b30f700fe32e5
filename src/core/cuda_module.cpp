#include "core/cuda_module.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include <vector>

#include "core/error.h"

namespace dsa {
namespace {

constexpr const char* kFileName = "libdsa-cuda.so";

bool is_folder(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool exists(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0;
}

// Folder of the file that holds this code: libdsa.so, or the program it is linked into.
std::string own_folder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&own_folder), &info) == 0 || !info.dli_fname) return "";
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

// In the order they are tried. One that the caller named is the only one.
std::vector<std::string> candidates(const char* option_path, const std::string& environment_path) {
  const std::string named = option_path && *option_path ? option_path : environment_path;
  if (!named.empty()) return {is_folder(named) ? named + "/" + kFileName : named};
  std::vector<std::string> paths;
  const std::string folder = own_folder();
  if (!folder.empty()) {
    paths.push_back(folder + "/dsa/" + kFileName);
    paths.push_back(folder + "/" + kFileName);
  }
  paths.push_back(kFileName);
  return paths;
}

}  // namespace

std::unique_ptr<CudaModule> CudaModule::find(const char* option_path,
                                             const std::string& environment_path) {
  std::string tried;
  for (const std::string& path : candidates(option_path, environment_path)) {
    tried += (tried.empty() ? "" : "; ") + path + ": ";
    // The loader searches its own path for a bare name only.
    if (path.find('/') != std::string::npos && !exists(path)) {
      tried += "no such file";
      continue;
    }
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      const char* reason = dlerror();
      tried += path.find('/') != std::string::npos && reason ? reason : "not on the loader's path";
      continue;
    }
    const auto entry = reinterpret_cast<BackendEntry>(dlsym(library, kBackendEntryName));
    const Backend* backend = entry ? entry(kBackendAbi) : nullptr;
    if (backend && backend->layout == kBackendLayout) {
      // It stays open for good: the CUDA runtime inside does not survive being unloaded.
      return std::unique_ptr<CudaModule>(new CudaModule(backend, path));
    }
    tried += entry ? "of another version of libdsa" : "not a module of libdsa";
    dlclose(library);
  }
  fail(DSA_ERROR_NO_BACKEND, "ctx_create: no CUDA module: %s", tried.c_str());
}

CudaModule::CudaModule(const Backend* backend, std::string path)
    : backend_(backend), path_(std::move(path)) {}

CudaModule::~CudaModule() {
  if (device_) backend_->close(device_);
}

void CudaModule::open(int32_t device_id) {
  BackendError error;
  device_ = backend_->open(device_id, &info_, &error);
  if (!device_) fail(error.status, "ctx_create: %s (module %s)", error.text, path_.c_str());
}

void CudaModule::load(const Kernel& kernel) {
  BackendError error;
  if (!backend_->load(device_, &kernel, &error)) throw_error(error);
}

void CudaModule::launch(const Kernel& kernel, const void* params, const Run& run, uint64_t needed) {
  BackendError error;
  if (!backend_->launch(device_, &kernel, params, run, needed, &error)) throw_error(error);
}

void CudaModule::throw_error(const BackendError& error) { fail(error.status, "%s", error.text); }

}  // namespace dsa
