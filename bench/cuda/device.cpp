#include "cuda/device.h"

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <thread>

#include "cuda/loops.h"

namespace bench {
namespace {

void check_cuda(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(
      fmt::format("{}: {} ({})", what, cudaGetErrorString(error), cudaGetErrorName(error)));
}

class Event {
 public:
  Event() { check_cuda(cudaEventCreate(&event_), "cudaEventCreate"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(cudaStream_t stream) {
    check_cuda(cudaEventRecord(event_, stream), "cudaEventRecord");
  }
  // Seconds from `begin` to this one; waits for it.
  double since(const Event& begin) const {
    float ms = 0;
    check_cuda(cudaEventSynchronize(event_), "cudaEventSynchronize");
    check_cuda(cudaEventElapsedTime(&ms, begin.event_, event_), "cudaEventElapsedTime");
    return double(ms) * 1e-3;
  }

 private:
  cudaEvent_t event_;
};

// What `enqueue` puts on the stream, recorded.
class Graph {
 public:
  Graph(cudaStream_t stream, const std::function<void()>& enqueue) : stream_(stream) {
    check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "begin capture");
    cudaGraph_t graph = nullptr;
    try {
      enqueue();
    } catch (...) {
      cudaStreamEndCapture(stream, &graph);
      if (graph) cudaGraphDestroy(graph);
      throw;
    }
    check_cuda(cudaStreamEndCapture(stream, &graph), "end capture");
    const cudaError_t error = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    check_cuda(error, "cudaGraphInstantiate");
    check_cuda(cudaGraphUpload(executable_, stream), "cudaGraphUpload");
  }
  ~Graph() { cudaGraphExecDestroy(executable_); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void launch() { check_cuda(cudaGraphLaunch(executable_, stream_), "cudaGraphLaunch"); }

 private:
  cudaStream_t stream_;
  cudaGraphExec_t executable_ = nullptr;
};

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(int32_t id) {
    check_cuda(cudaSetDevice(id), "cudaSetDevice");
    check_cuda(cudaGetDeviceProperties(&properties_, id), "cudaGetDeviceProperties");
    check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    flush_bytes_ = std::max<int64_t>(kLeastFlush, 2 * int64_t(properties_.l2CacheSize));
    check_cuda(cudaMalloc(&flush_, size_t(flush_bytes_)), "cudaMalloc");
    check_cuda(cudaMemset(flush_, 1, size_t(flush_bytes_)), "cudaMemset");
    check_cuda(cudaMalloc(&sink_, 256), "cudaMalloc");
    check_cuda(cudaStreamCreateWithFlags(&occupying_, cudaStreamNonBlocking), "cudaStreamCreate");
    check_cuda(cudaMallocHost(&release_, sizeof *release_), "cudaMallocHost");
  }
  ~CudaDevice() override {
    free_all();
    cudaFreeHost(release_);
    cudaStreamDestroy(occupying_);
    cudaFree(flush_);
    cudaFree(sink_);
    cudaStreamDestroy(stream_);
  }
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  void* stream() const override { return stream_; }
  void* allocate(int64_t bytes) override {
    void* memory = nullptr;
    check_cuda(cudaMalloc(&memory, size_t(std::max<int64_t>(bytes, 256))), "cudaMalloc");
    return memory;
  }
  void release(void* memory) override { cudaFree(memory); }
  void upload(void* to, const void* from, int64_t bytes) override {
    check_cuda(cudaMemcpyAsync(to, from, size_t(bytes), cudaMemcpyHostToDevice, stream_), "upload");
    synchronize();
  }
  void download(void* to, const void* from, int64_t bytes) override {
    check_cuda(cudaMemcpyAsync(to, from, size_t(bytes), cudaMemcpyDeviceToHost, stream_),
               "download");
    synchronize();
  }
  void synchronize() override { check_cuda(cudaStreamSynchronize(stream_), "synchronize"); }

  Timing time(DeviceMode mode, const DeviceTimingPlan& plan,
              const std::function<void()>& enqueue) override {
    const double one = intervals(1, [&](int) { enqueue(); })[0];
    // No graph of more than 40 ms: long calls are steady enough.
    const int calls = std::clamp(int(40e-3 / std::max(one, 1e-9)), 1, plan.calls);
    switch (mode) {
      case DeviceMode::kWarm:
        return time_warm(calls, plan.replays, enqueue);
      case DeviceMode::kCold:
        return time_cold(calls, plan.replays, enqueue);
      case DeviceMode::kBurst:
        return time_burst(enqueue);
      default:
        return time_sustained(calls, enqueue);
    }
  }

  std::vector<DeviceRate> roofs(double seconds) override;

  void occupy(double share) override {
    free_all();
    *release_ = 0;
    const int taken = int(std::lround(share * properties_.multiProcessorCount));
    if (taken == 0) return;
    check_cuda(cuda::enqueue_occupy(taken, release_, occupying_), "occupy");
  }
  void free_all() override {
    *const_cast<volatile int32_t*>(release_) = 1;
    cudaStreamSynchronize(occupying_);
  }

 private:
  static constexpr int64_t kLeastFlush = int64_t{128} << 20;

  // Seconds of each of enqueue(0) ... enqueue(n - 1). All are enqueued at once behind enqueue(-1),
  // so that no interval holds the host's time for a launch.
  template <class F>
  std::vector<double> intervals(int n, F&& enqueue) {
    std::vector<Event> events(size_t(n) + 1);
    for (int i = -1; i < n; ++i) {
      enqueue(i);
      events[size_t(i) + 1].record(stream_);
    }
    std::vector<double> seconds;
    for (size_t i = 0; i < size_t(n); ++i) seconds.push_back(events[i + 1].since(events[i]));
    return seconds;
  }
  void flush() {
    check_cuda(cuda::enqueue_read(flush_, flush_bytes_ / 16, sink_, properties_.multiProcessorCount,
                                  stream_),
               "flush");
  }

  Timing time_warm(int calls, int replays, const std::function<void()>& enqueue) {
    Graph graph(stream_, [&] {
      for (int i = 0; i < calls; ++i) enqueue();
    });
    return summarize_calls(intervals(replays, [&](int) { graph.launch(); }), calls);
  }

  Timing time_cold(int calls, int replays, const std::function<void()>& enqueue) {
    Graph with(stream_, [&] {
      for (int i = 0; i < calls; ++i) {
        flush();
        enqueue();
      }
    });
    Graph without(stream_, [&] {
      for (int i = 0; i < calls; ++i) flush();
    });
    // By turns, so that a drift of the clocks is in both.
    const auto both =
        intervals(2 * replays, [&](int i) { (i % 2 == 0 ? with : without).launch(); });
    std::vector<double> samples;
    for (size_t i = 0; i + 1 < both.size(); i += 2) samples.push_back(both[i] - both[i + 1]);
    return summarize_calls(samples, calls);
  }

  Timing time_burst(const std::function<void()>& enqueue) {
    synchronize();
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    enqueue();
    return summarize_calls(intervals(8, [&](int) { enqueue(); }), 1);
  }

  Timing time_sustained(int calls, const std::function<void()>& enqueue) {
    Graph graph(stream_, [&] {
      for (int i = 0; i < calls; ++i) enqueue();
    });
    const double one = intervals(1, [&](int) { graph.launch(); })[0];
    const int n = std::max(2, int(0.5 / std::max(one, 1e-5)));
    const auto all = intervals(n, [&](int) { graph.launch(); });
    return summarize_calls({all.begin() + n / 2, all.end()}, calls);
  }

  static Timing summarize_calls(std::vector<double> samples, int calls) {
    for (double& sample : samples) sample /= calls;
    return summarize(std::move(samples), calls);
  }

  cudaDeviceProp properties_;
  cudaStream_t stream_ = nullptr;
  void* flush_ = nullptr;
  int64_t flush_bytes_ = 0;
  uint32_t* sink_ = nullptr;
  cudaStream_t occupying_ = nullptr;
  int32_t* release_ = nullptr;
};

std::vector<DeviceRate> CudaDevice::roofs(double seconds) {
  const int sms = properties_.multiProcessorCount;
  const DeviceTimingPlan plan{20, std::max(3, int(seconds / 20e-3))};
  const auto fastest = [&](const std::function<void()>& enqueue) {
    return time(DeviceMode::kWarm, plan, enqueue).min;
  };
  constexpr int64_t kBytes = int64_t{2} << 30, kInL2 = int64_t{24} << 20;
  DeviceMemory from(*this, kBytes), to(*this, kBytes / 2);
  check_cuda(cudaMemsetAsync(from.data(), 1, kBytes, stream_), "cudaMemset");
  std::vector<DeviceRate> rates;
  const auto read = [&](int64_t bytes) {
    check_cuda(cuda::enqueue_read(from.data(), bytes / 16, sink_, sms, stream_), "read");
  };
  rates.push_back({"memory.read", double(kBytes) / fastest([&] { read(kBytes); }) * 1e-9, "GB/s"});
  // Bytes read and written.
  rates.push_back({"memory.copy", double(kBytes) / fastest([&] {
                                    check_cuda(cuda::enqueue_copy(to.data(), from.data(),
                                                                  kBytes / 2 / 16, sms, stream_),
                                               "copy");
                                  }) * 1e-9,
                   "GB/s"});
  rates.push_back({"l2.read", double(kInL2) / fastest([&] { read(kInL2); }) * 1e-9, "GB/s"});
  constexpr int64_t kRounds = 20000;  // about 10 ms
  float* sink = reinterpret_cast<float*>(sink_);
  rates.push_back({"mma.bf16", cuda::mma_bf16_flop(kRounds, sms) / fastest([&] {
                                 check_cuda(cuda::enqueue_mma_bf16(kRounds, sink, sms, stream_),
                                            "mma");
                               }) * 1e-9,
                   "GFLOP/s"});
  if (properties_.major == 9) {
    for (const bool fp8 : {false, true}) {
      rates.push_back({fp8 ? "wgmma.e4m3" : "wgmma.bf16",
                       cuda::wgmma_flop(fp8, kRounds, sms) / fastest([&] {
                         check_cuda(cuda::enqueue_wgmma(fp8, kRounds, sink, sms, stream_), "wgmma");
                       }) * 1e-9,
                       "GFLOP/s"});
    }
  }
  rates.push_back({"empty kernel",
                   fastest([&] { check_cuda(cuda::enqueue_empty(stream_), "empty"); }) * 1e6,
                   "us"});
  return rates;
}

}  // namespace

std::unique_ptr<Device> open_device(int32_t id) { return std::make_unique<CudaDevice>(id); }

}  // namespace bench
