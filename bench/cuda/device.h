// A CUDA device as the benchmarks need it: memory, a stream, timing by graph replays, roofs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "measure.h"

namespace bench {

// How calls on a device are timed.
//   warm       a graph of `calls` calls back to back, replayed: what a call finds in L2 is what the
//              one before it left. Seconds a call, over the replays
//   cold       the same with a read of more than L2 before each call, less the time of a graph of
//              those reads alone
//   burst      single calls after a rest of 0.25 s and two warm-ups: clocks are at their highest
//   sustained  graphs back to back for half a second, the second half counts: clocks have settled
//              under the power limit
enum class DeviceMode { kWarm, kCold, kBurst, kSustained };
const std::vector<std::string>& device_mode_names();        // in the order of the enum
DeviceMode device_mode_from_name(const std::string& name);  // throws std::invalid_argument

struct DeviceTimingPlan {
  int calls = 20;    // of a graph; fewer when they take long
  int replays = 10;  // at least
};

struct DeviceRate {
  std::string name;  // "memory.read"
  double rate = 0;
  std::string unit;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual void* stream() const = 0;
  virtual void* allocate(int64_t bytes) = 0;
  virtual void release(void* memory) = 0;
  virtual void upload(void* to, const void* from, int64_t bytes) = 0;
  virtual void download(void* to, const void* from, int64_t bytes) = 0;
  virtual void synchronize() = 0;  // throws what the device reports
  // `enqueue` puts one call on the stream. It is captured, so it must not allocate.
  virtual Timing time(DeviceMode mode, const DeviceTimingPlan& plan,
                      const std::function<void()>& enqueue) = 0;
  virtual std::vector<DeviceRate> roofs(double seconds) = 0;
  // A kernel takes this share of the multiprocessors until free_all(). Meanwhile nothing may wait
  // for the whole device: no allocation, no release.
  virtual void occupy(double share) = 0;
  virtual void free_all() = 0;
};

// Throws std::runtime_error where there is no such device or the program was built without CUDA.
std::unique_ptr<Device> open_device(int32_t id);

// Device memory with the contents of host memory, for as long as it lives.
class DeviceMemory {
 public:
  DeviceMemory(Device& device, int64_t bytes) : device_(&device), data_(device.allocate(bytes)) {}
  ~DeviceMemory() {
    if (data_) device_->release(data_);
  }
  DeviceMemory(DeviceMemory&& other) noexcept : device_(other.device_), data_(other.data_) {
    other.data_ = nullptr;
  }
  DeviceMemory& operator=(DeviceMemory&&) = delete;
  void* data() const { return data_; }

 private:
  Device* device_;
  void* data_;
};

}  // namespace bench
