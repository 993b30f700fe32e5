#include "hybrid/gpu_lab.h"

#include <algorithm>

namespace dsa {
namespace {

// As much as a tensor of a layer has: ordinary memory that is not in a cache is slower to copy.
constexpr uint64_t kLinkBytes = uint64_t{16} << 20;
constexpr uint64_t kSmallBytes = 256;

// Pinned host memory for a while.
class Pinned {
 public:
  Pinned(CudaModule& cuda, uint64_t bytes) : cuda_(cuda) {
    cuda.ask(&BackendServices::pin, bytes, &data_);
  }
  ~Pinned() { cuda_.tell(&BackendServices::unpin, data_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  char* data() const { return data_; }

 private:
  CudaModule& cuda_;
  char* data_ = nullptr;
};

}  // namespace

GpuLab::GpuLab(dsa_ctx& ctx) : Lab(ctx), cuda_(*ctx.cuda) {
  cuda_.ask(&BackendServices::make_stream, &stream_);
}

GpuLab::~GpuLab() {
  clear();
  cuda_.tell(&BackendServices::free_stream, stream_);
}

char* GpuLab::lend(uint64_t bytes) {
  char* memory = nullptr;
  cuda_.ask(&BackendServices::lend, stream_, std::max<uint64_t>(bytes, 1), &memory);
  kept_.push_back(memory);
  return memory;
}

void GpuLab::clear() {
  BackendError error;
  for (char* memory : kept_) cuda_.tell(&BackendServices::give_back, stream_, memory, &error);
  kept_.clear();
}

void* GpuLab::keep(const void* from, uint64_t bytes) {
  char* memory = lend(bytes);
  copy(memory, from, bytes);
  wait();  // `from` may go
  return memory;
}

dsa_tensor GpuLab::placed(dsa_tensor tensor) const {
  tensor.device = DSA_DEVICE_CUDA;
  tensor.device_id = cuda_.info().id;
  return tensor;
}

void GpuLab::wait() { cuda_.ask(&BackendServices::wait_stream, stream_); }

void GpuLab::copy(void* to, const void* from, uint64_t bytes) {
  const auto width = static_cast<int64_t>(bytes);
  cuda_.ask(&BackendServices::copy_rows, to, width, from, width, width, int64_t{1}, stream_);
}

// The shortest of a few.
double GpuLab::copy_seconds(void* to, const void* from, uint64_t bytes) {
  double shortest = 0;
  for (int i = 0; i < 6; ++i) {
    const double begin = now();
    copy(to, from, bytes);
    wait();
    const double seconds = now() - begin;
    if (i == 0 || seconds < shortest) shortest = seconds;
  }
  return shortest;
}

void GpuLab::measure_link(HybridRates& rates) {
  constexpr int kCopies = 32;
  const Pinned pinned(cuda_, kLinkBytes);
  std::vector<char> pageable(kLinkBytes, 1);
  char* device = lend(kLinkBytes);
  rates.latency = copy_seconds(pinned.data(), device, kSmallBytes);
  const auto rate = [&rates](double seconds) {
    return static_cast<double>(kLinkBytes) / std::max(seconds - rates.latency, 1e-6);
  };
  rates.down = rate(copy_seconds(pinned.data(), device, kLinkBytes));
  rates.up = rate(copy_seconds(device, pinned.data(), kLinkBytes));
  rates.pageable_down = rate(copy_seconds(pageable.data(), device, kLinkBytes));
  rates.pageable_up = rate(copy_seconds(device, pageable.data(), kLinkBytes));
  const double begin = now();
  for (int i = 0; i < kCopies; ++i) copy(device + i * kSmallBytes, pageable.data(), kSmallBytes);
  wait();
  rates.copy = (now() - begin) / kCopies;
  clear();
}

}  // namespace dsa
