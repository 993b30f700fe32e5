#include "cuda/cublas.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <stdexcept>

#include "error.h"

namespace tinylm::cuda {
namespace {

constexpr int kNotTransposed = 0, kTransposed = 1;  // cublasOperation_t

void check(int status, const char *call) {
  if (status != 0) throw std::runtime_error(fmt::format("{}: cuBLAS status {}", call, status));
}

}  // namespace

Cublas::Cublas(cudaStream_t stream) {
  void *library = nullptr;
  for (const char *name : {"libcublas.so.13", "libcublas.so.12", "libcublas.so"}) {
    library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    file_ = name;
    if (library) break;
  }
  if (!library) {
    throw BadInput(
        "--device cuda: no cuBLAS (libcublas.so.13 or .12) on the loader's path; the CUDA toolkit "
        "and the Python package nvidia-cublas have it: name its folder in LD_LIBRARY_PATH");
  }
  const auto create = reinterpret_cast<Create>(dlsym(library, "cublasCreate_v2"));
  const auto set_stream = reinterpret_cast<SetStream>(dlsym(library, "cublasSetStream_v2"));
  destroy_ = reinterpret_cast<Destroy>(dlsym(library, "cublasDestroy_v2"));
  sgemm_ = reinterpret_cast<Sgemm>(dlsym(library, "cublasSgemm_v2"));
  if (!create || !set_stream || !destroy_ || !sgemm_) {
    throw BadInput("--device cuda: " + file_ + " lacks a function of cuBLAS");
  }
  check(create(&handle_), "cublasCreate");
  check(set_stream(handle_, stream), "cublasSetStream");
}

Cublas::~Cublas() {
  if (handle_) destroy_(handle_);
}

void Cublas::multiply(bool transpose_a, int64_t m, int64_t n, int64_t k, const float *a,
                      int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc) {
  const float one = 1, zero = 0;
  const auto i = [](int64_t value) { return static_cast<int>(value); };
  check(sgemm_(handle_, transpose_a ? kTransposed : kNotTransposed, kNotTransposed, i(m), i(n),
               i(k), &one, a, i(lda), b, i(ldb), &zero, c, i(ldc)),
        "cublasSgemm");
}

}  // namespace tinylm::cuda
