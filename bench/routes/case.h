// One call of dsa_forward as the CPU-offload experiment has it: B requests of T causal queries on
// T keys, all in dense tensors.
#pragma once

#include <dsa.h>

#include <memory>
#include <string>
#include <vector>

#include "array.h"
#include "context.h"

namespace bench::routes {

struct Point {
  int64_t batch = 1, length = 0;  // B, T
  int32_t k = 0;

  bool has_tensors_of(const Point& other) const {
    return batch == other.batch && length == other.length;
  }

  int64_t rows() const { return batch * length; }
  double scores() const { return double(rows()) * double(length); }  // B T^2, hidden ones too
};

// The experiment's: four indexer heads of 32, four heads of 32 with keys and values of their own.
inline constexpr int64_t kIndexHeads = 4, kIndexDim = 32, kHeads = 4, kDim = 32;

// The tensors of a point in host memory and, where there is a device, in its memory too.
class Tensors {
 public:
  Tensors(const Context& context, const Point& point, uint64_t seed);
  Tensors(const Tensors&) = delete;
  Tensors& operator=(const Tensors&) = delete;

  // Another k; the rest of the point as it was.
  void set_k(int32_t k) { point_.k = host_select_.k = device_select_.k = k; }

  // `on_device` false: the host's. Valid as long as this object, one at a time.
  const dsa_forward_desc& forward(int32_t route, bool on_device);

  const Point& point() const { return point_; }
  // The output of the last call, in host memory.
  const float* output(bool on_device);
  void clear_output(bool on_device);

  const dsa_indexer_topk_desc& select(bool on_device) const {
    return on_device ? device_select_ : host_select_;
  }
  const dsa_sparse_attn_desc& attend(bool on_device) const {
    return on_device ? device_attend_ : host_attend_;
  }

 private:
  void move_to(Device& device, int32_t device_id);

  Point point_;
  Device* device_;
  Array q_, keys_, w_, attend_q_, kv_, v_, out_;
  std::vector<DeviceMemory> memory_;
  dsa_indexer_topk_desc host_select_, device_select_;
  dsa_sparse_attn_desc host_attend_, device_attend_;
  dsa_forward_desc forward_;
};

// Whether the first and last row of the first and last request hold what the formula in double
// says. Rows whose cut is closer than f32 can tell are passed over.
bool rows_are_right(Tensors& tensors, const float* out);

}  // namespace bench::routes
