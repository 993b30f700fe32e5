#pragma once
// A matrix that grows downwards in the dtype in which libdsa is to read it: caches and queries.

#include <dsa.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace tinylm {

class TypedRows {
 public:
  // dtype: DSA_F32 or DSA_BF16. Memory is touched only where rows are written.
  TypedRows(int32_t dtype, int64_t rows, int64_t width);

  // Rows [first, first + count) from dense f32.
  void write(int64_t first, int64_t count, const float *values);

  int32_t dtype() const { return dtype_; }
  int64_t rows() const { return rows_; }
  void *data() { return data_.get(); }

 private:
  int32_t dtype_;
  int64_t rows_;
  int64_t width_;
  std::unique_ptr<std::byte[]> data_;
};

}  // namespace tinylm
