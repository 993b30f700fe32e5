#pragma once
// What does the model's arithmetic, and where its memory lies: the CPU or a GPU. A GPU works behind
// the caller: only download() and wait() are finished on return.

#include <dsa.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tinylm {

class Compute {
 public:
  virtual ~Compute() = default;

  virtual int32_t device() const = 0;        // DSA_DEVICE_CPU or DSA_DEVICE_CUDA
  virtual void *stream() const = 0;          // as dsa_exec.stream
  virtual std::string matrices() const = 0;  // whose matrix products: "OpenBLAS"

  virtual void *allocate(int64_t bytes) = 0;
  virtual void release(void *memory) = 0;
  virtual void upload(void *to, const void *from, int64_t bytes) = 0;
  virtual void download(void *to, const void *from, int64_t bytes) = 0;
  virtual void wait() = 0;
  // Where the weights lie; the vector stays as it is for as long as this lives.
  virtual const float *weights(const std::vector<float> &host) = 0;

  // The functions of layers.h on this memory.
  virtual void linear(int64_t rows, int64_t out, int64_t in, const float *x, int64_t x_stride,
                      const float *w, float *y, int64_t y_stride) = 0;
  virtual void linear_transposed(int64_t rows, int64_t out, int64_t in, const float *x,
                                 int64_t x_stride, const float *w, float *y, int64_t y_stride) = 0;
  virtual void rms_norm(int64_t rows, int64_t n, const float *x, int64_t x_stride,
                        const float *gain, double eps, float *y, int64_t y_stride) = 0;
  virtual void layer_norm(int64_t rows, int64_t n, float *x, const float *gain, const float *bias,
                          double eps) = 0;
  virtual void silu_gate(int64_t n, float *gate, const float *up) = 0;
  virtual void add(int64_t n, float *a, const float *b) = 0;
  virtual void multiply(int64_t n, float *a, float factor) = 0;
  virtual void rotate(const struct Rotation &r) = 0;
  // x[t] = table[bytes[t]], rows of n; bytes in host memory.
  virtual void embed(int64_t rows, int64_t n, const uint8_t *bytes, const float *table,
                     float *x) = 0;
  // to[n] in DSA_F32 or DSA_BF16, rounded to nearest.
  virtual void store(int64_t n, const float *from, int32_t dtype, void *to) = 0;
};

std::unique_ptr<Compute> cpu_compute();
// Throws BadInput where there is no GPU, no cuBLAS, or this program was built without CUDA.
std::unique_ptr<Compute> cuda_compute();

// Memory of a Compute. What it holds at first is arbitrary.
template <class T>
class Array {
 public:
  explicit Array(Compute &compute, int64_t size = 0) : compute_(&compute) { resize(size); }
  ~Array() { compute_->release(data_); }
  Array(Array &&other) noexcept
      : compute_(other.compute_),
        data_(std::exchange(other.data_, nullptr)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Array &operator=(Array &&) = delete;

  T *data() const { return data_; }
  // Grows; the contents are lost.
  void resize(int64_t size) {
    if (size <= capacity_) return;
    compute_->release(std::exchange(data_, nullptr));
    capacity_ = 0;
    data_ = static_cast<T *>(compute_->allocate(size * int64_t{sizeof(T)}));
    capacity_ = size;
  }

 private:
  Compute *compute_;
  T *data_ = nullptr;
  int64_t capacity_ = 0;
};

}  // namespace tinylm
