#include "typed_rows.h"

namespace tinylm {

TypedRows::TypedRows(Compute &compute, int32_t dtype, int64_t rows, int64_t width)
    : compute_(&compute),
      dtype_(dtype),
      rows_(rows),
      width_(width),
      data_(compute, rows * width * element_bytes()) {}

void TypedRows::write(int64_t first, int64_t count, const float *values) {
  compute_->store(count * width_, values, dtype_, data_.data() + first * width_ * element_bytes());
}

}  // namespace tinylm
