// Memory for tensors, and numbers in the library's dtypes.
#pragma once

#include <dsa.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace bench {

int64_t dtype_bytes(int32_t dtype);
const char* dtype_name(int32_t dtype);

// One number to and from a dtype, rounding to nearest even.
void encode(int32_t dtype, float value, void* to);
float decode(int32_t dtype, const void* from);

// A dense tensor that owns its memory. The memory is not touched here: the threads that fill it
// place its pages.
class Array {
 public:
  Array() = default;
  Array(int32_t dtype, std::vector<int64_t> shape);

  int32_t dtype() const { return dtype_; }
  int64_t size() const { return size_; }  // elements
  int64_t bytes() const { return size_ * dtype_bytes(dtype_); }
  int64_t extent(int axis) const { return shape_[size_t(axis)]; }
  bool given() const { return memory_ != nullptr; }
  template <class T>
  T* data() const {
    return reinterpret_cast<T*>(memory_.get());
  }
  float at(int64_t i) const { return decode(dtype_, memory_.get() + i * dtype_bytes(dtype_)); }
  void set(int64_t i, float value) {
    encode(dtype_, value, memory_.get() + i * dtype_bytes(dtype_));
  }
  // Not given: ndim 0. `data` NULL when `sizes_only`, for questions about workspace.
  dsa_tensor tensor(bool sizes_only = false) const;
  // The same shape with no memory.
  static dsa_tensor sizes(int32_t dtype, const std::vector<int64_t>& shape);

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  int32_t dtype_ = DSA_F32;
  std::vector<int64_t> shape_;
  int64_t size_ = 0;
  std::unique_ptr<std::byte, Free> memory_;
};

}  // namespace bench
