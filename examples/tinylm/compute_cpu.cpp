#include <cstdlib>
#include <cstring>
#include <new>

#include "bfloat16.h"
#include "compute.h"
#include "layers.h"

namespace tinylm {
namespace {

class CpuCompute final : public Compute {
 public:
  int32_t device() const override { return DSA_DEVICE_CPU; }
  void *stream() const override { return nullptr; }
  std::string matrices() const override { return "OpenBLAS"; }

  // Memory is touched only where it is written.
  void *allocate(int64_t bytes) override {
    void *memory = std::malloc(static_cast<size_t>(bytes));
    if (memory == nullptr && bytes > 0) throw std::bad_alloc();
    return memory;
  }
  void release(void *memory) override { std::free(memory); }
  void upload(void *to, const void *from, int64_t bytes) override { copy(to, from, bytes); }
  void download(void *to, const void *from, int64_t bytes) override { copy(to, from, bytes); }
  void wait() override {}
  const float *weights(const std::vector<float> &host) override { return host.data(); }

  void linear(int64_t rows, int64_t out, int64_t in, const float *x, int64_t x_stride,
              const float *w, float *y, int64_t y_stride) override {
    tinylm::linear(rows, out, in, x, x_stride, w, y, y_stride);
  }
  void linear_transposed(int64_t rows, int64_t out, int64_t in, const float *x, int64_t x_stride,
                         const float *w, float *y, int64_t y_stride) override {
    tinylm::linear_transposed(rows, out, in, x, x_stride, w, y, y_stride);
  }
  void rms_norm(int64_t rows, int64_t n, const float *x, int64_t x_stride, const float *gain,
                double eps, float *y, int64_t y_stride) override {
    tinylm::rms_norm(rows, n, x, x_stride, gain, eps, y, y_stride);
  }
  void layer_norm(int64_t rows, int64_t n, float *x, const float *gain, const float *bias,
                  double eps) override {
    tinylm::layer_norm(rows, n, x, gain, bias, eps);
  }
  void silu_gate(int64_t n, float *gate, const float *up) override {
    tinylm::silu_gate(n, gate, up);
  }
  void add(int64_t n, float *a, const float *b) override { tinylm::add(n, a, b); }
  void multiply(int64_t n, float *a, float factor) override { tinylm::multiply(n, a, factor); }
  void rotate(const Rotation &r) override { tinylm::rotate(r); }
  void embed(int64_t rows, int64_t n, const uint8_t *bytes, const float *table, float *x) override {
    for (int64_t t = 0; t < rows; ++t) {
      copy(x + t * n, table + bytes[t] * n, n * int64_t{sizeof(float)});
    }
  }
  void store(int64_t n, const float *from, int32_t dtype, void *to) override {
    if (dtype == DSA_F32) {
      copy(to, from, n * int64_t{sizeof(float)});
      return;
    }
    auto *halves = static_cast<uint16_t *>(to);
    for (int64_t i = 0; i < n; ++i) halves[i] = to_bfloat16(from[i]);
  }

 private:
  static void copy(void *to, const void *from, int64_t bytes) {
    if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
  }
};

}  // namespace

std::unique_ptr<Compute> cpu_compute() { return std::make_unique<CpuCompute>(); }

}  // namespace tinylm
