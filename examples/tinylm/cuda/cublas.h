#pragma once
// The one matrix product of cuBLAS that the engine needs. The library is found when the program
// runs, so that building needs neither it nor its headers.

#include <cuda_runtime.h>

#include <cstdint>
#include <string>

namespace tinylm::cuda {

class Cublas {
 public:
  // Throws BadInput where there is none.
  explicit Cublas(cudaStream_t stream);
  ~Cublas();
  Cublas(const Cublas &) = delete;
  Cublas &operator=(const Cublas &) = delete;

  const std::string &file() const { return file_; }

  // Column-major c[m, n] = op(a) b in f32: a [k, m] transposed, else [m, k].
  void multiply(bool transpose_a, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                const float *b, int64_t ldb, float *c, int64_t ldc);

 private:
  using Handle = void *;
  using Create = int (*)(Handle *);
  using Destroy = int (*)(Handle);
  using SetStream = int (*)(Handle, cudaStream_t);
  using Sgemm = int (*)(Handle, int, int, int, int, int, const float *, const float *, int,
                        const float *, int, const float *, float *, int);

  std::string file_;
  Destroy destroy_ = nullptr;
  Sgemm sgemm_ = nullptr;
  Handle handle_ = nullptr;
};

}  // namespace tinylm::cuda
