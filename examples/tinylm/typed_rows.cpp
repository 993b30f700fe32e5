#include "typed_rows.h"

#include <cstring>

#include "bfloat16.h"

namespace tinylm {
namespace {

int64_t element_bytes(int32_t dtype) { return dtype == DSA_F32 ? 4 : 2; }

}  // namespace

TypedRows::TypedRows(int32_t dtype, int64_t rows, int64_t width)
    : dtype_(dtype),
      rows_(rows),
      width_(width),
      data_(std::make_unique_for_overwrite<std::byte[]>(
          static_cast<size_t>(rows * width * element_bytes(dtype)))) {}

void TypedRows::write(int64_t first, int64_t count, const float *values) {
  std::byte *to = data_.get() + first * width_ * element_bytes(dtype_);
  const int64_t n = count * width_;
  if (dtype_ == DSA_F32) {
    std::memcpy(to, values, static_cast<size_t>(n) * sizeof(float));
    return;
  }
  auto *halves = reinterpret_cast<uint16_t *>(to);
  for (int64_t i = 0; i < n; ++i) halves[i] = to_bfloat16(values[i]);
}

}  // namespace tinylm
