#pragma once
// A matrix that grows downwards in the dtype in which libdsa is to read it: caches and queries.

#include <dsa.h>

#include <cstdint>

#include "compute.h"

namespace tinylm {

class TypedRows {
 public:
  // dtype: DSA_F32 or DSA_BF16. Memory is touched only where rows are written.
  TypedRows(Compute &compute, int32_t dtype, int64_t rows, int64_t width);

  // Rows [first, first + count) from dense f32.
  void write(int64_t first, int64_t count, const float *values);

  int32_t dtype() const { return dtype_; }
  int64_t rows() const { return rows_; }
  void *data() { return data_.data(); }

 private:
  int64_t element_bytes() const { return dtype_ == DSA_F32 ? 4 : 2; }

  Compute *compute_;
  int32_t dtype_;
  int64_t rows_;
  int64_t width_;
  Array<char> data_;
};

}  // namespace tinylm
