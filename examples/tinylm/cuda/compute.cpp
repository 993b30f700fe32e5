#include "compute.h"

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>

#include "cuda/cublas.h"
#include "cuda/kernels.h"
#include "error.h"

namespace tinylm {
namespace {

void check(cudaError_t error, const char *call) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(fmt::format("{}: {}", call, cudaGetErrorString(error)));
}

// A stream on the first device, or the reason why there is none.
cudaStream_t open_stream() {
  int driver = 0, devices = 0;
  cudaDriverGetVersion(&driver);
  if (driver == 0) {
    throw BadInput("--device cuda: there is no CUDA driver (libcuda.so.1) on this machine");
  }
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error != cudaSuccess || devices == 0) {
    throw BadInput(fmt::format("--device cuda: no CUDA device: {}", cudaGetErrorString(error)));
  }
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  return stream;
}

class CudaCompute final : public Compute {
 public:
  CudaCompute() : stream_(open_stream()), cublas_(stream_) {}
  ~CudaCompute() override {
    for (const auto &[host, device] : weights_) cudaFree(device);
    cudaFree(bytes_);
    cudaStreamDestroy(stream_);
  }
  CudaCompute(const CudaCompute &) = delete;
  CudaCompute &operator=(const CudaCompute &) = delete;

  int32_t device() const override { return DSA_DEVICE_CUDA; }
  void *stream() const override { return stream_; }
  std::string matrices() const override { return "cuBLAS (" + cublas_.file() + ")"; }

  void *allocate(int64_t bytes) override {
    void *memory = nullptr;
    if (bytes > 0) check(cudaMalloc(&memory, static_cast<size_t>(bytes)), "cudaMalloc");
    return memory;
  }
  void release(void *memory) override {
    // What is enqueued may still use it.
    if (memory) cudaStreamSynchronize(stream_);
    cudaFree(memory);
  }
  void upload(void *to, const void *from, int64_t bytes) override {
    check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream_),
          "upload");
  }
  void download(void *to, const void *from, int64_t bytes) override {
    check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream_),
          "download");
    wait();
  }
  void wait() override { check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }
  const float *weights(const std::vector<float> &host) override {
    float *&device = weights_[host.data()];
    if (!device) {
      const auto bytes = static_cast<int64_t>(host.size() * sizeof(float));
      device = static_cast<float *>(allocate(bytes));
      upload(device, host.data(), bytes);
    }
    return device;
  }

  // Row-major y = x W^T is column-major y^T = W x^T.
  void linear(int64_t rows, int64_t out, int64_t in, const float *x, int64_t x_stride,
              const float *w, float *y, int64_t y_stride) override {
    cublas_.multiply(true, out, rows, in, w, in, x, x_stride, y, y_stride);
  }
  void linear_transposed(int64_t rows, int64_t out, int64_t in, const float *x, int64_t x_stride,
                         const float *w, float *y, int64_t y_stride) override {
    cublas_.multiply(false, out, rows, in, w, out, x, x_stride, y, y_stride);
  }
  void rms_norm(int64_t rows, int64_t n, const float *x, int64_t x_stride, const float *gain,
                double eps, float *y, int64_t y_stride) override {
    check(cuda::rms_norm(rows, n, x, x_stride, gain, eps, y, y_stride, stream_), "rms_norm");
  }
  void layer_norm(int64_t rows, int64_t n, float *x, const float *gain, const float *bias,
                  double eps) override {
    check(cuda::layer_norm(rows, n, x, gain, bias, eps, stream_), "layer_norm");
  }
  void silu_gate(int64_t n, float *gate, const float *up) override {
    check(cuda::silu_gate(n, gate, up, stream_), "silu_gate");
  }
  void add(int64_t n, float *a, const float *b) override {
    check(cuda::add(n, a, b, stream_), "add");
  }
  void multiply(int64_t n, float *a, float factor) override {
    check(cuda::multiply(n, a, factor, stream_), "multiply");
  }
  void rotate(const Rotation &r) override { check(cuda::rotate(r, stream_), "rotate"); }
  void embed(int64_t rows, int64_t n, const uint8_t *bytes, const float *table, float *x) override {
    if (rows > bytes_capacity_) {
      release(bytes_);
      bytes_ = nullptr;
      bytes_ = static_cast<uint8_t *>(allocate(rows));
      bytes_capacity_ = rows;
    }
    upload(bytes_, bytes, rows);
    check(cuda::embed(rows, n, bytes_, table, x, stream_), "embed");
  }
  void store(int64_t n, const float *from, int32_t dtype, void *to) override {
    if (dtype == DSA_F32) {
      check(cudaMemcpyAsync(to, from, static_cast<size_t>(n) * sizeof(float),
                            cudaMemcpyDeviceToDevice, stream_),
            "copy");
    } else {
      check(cuda::to_bfloat16(n, from, to, stream_), "to_bfloat16");
    }
  }

 private:
  cudaStream_t stream_;
  cuda::Cublas cublas_;
  std::map<const float *, float *> weights_;  // by the host's
  uint8_t *bytes_ = nullptr;
  int64_t bytes_capacity_ = 0;
};

}  // namespace

std::unique_ptr<Compute> cuda_compute() { return std::make_unique<CudaCompute>(); }

}  // namespace tinylm
