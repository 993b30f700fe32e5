#include "oracle/element.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace oracle {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

// sign, exponent and mantissa fields of a small IEEE-like type.
double from_fields(bool negative, int exponent, int mantissa, int mantissa_bits, int bias) {
  const double fraction = std::ldexp(mantissa, -mantissa_bits);
  const double value =
      exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1.0 + fraction, exponent - bias);
  return negative ? -value : value;
}

size_t bytes_of(int32_t dtype) {
  if (dtype == DSA_F32 || dtype == DSA_I32) return 4;
  if (dtype == DSA_F16 || dtype == DSA_BF16) return 2;
  return 1;
}

}  // namespace

double f16_to_double(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  const bool negative = bits >> 15;
  if (exponent == 31) return mantissa ? kNan : negative ? -kInf : kInf;
  return from_fields(negative, exponent, mantissa, 10, 15);
}

double bf16_to_double(uint16_t bits) {
  const int exponent = (bits >> 7) & 255, mantissa = bits & 127;
  const bool negative = bits >> 15;
  if (exponent == 255) return mantissa ? kNan : negative ? -kInf : kInf;
  return from_fields(negative, exponent, mantissa, 7, 127);
}

double e4m3_to_double(uint8_t bits) {
  if ((bits & 0x7f) == 0x7f) return kNan;
  return from_fields(bits >> 7, (bits >> 3) & 15, bits & 7, 3, 7);
}

char* address(const dsa_tensor& t, const std::vector<int64_t>& index) {
  int64_t offset = 0;
  for (size_t i = 0; i < index.size(); ++i) offset += index[i] * t.stride[i];
  return static_cast<char*>(t.data) + offset * static_cast<int64_t>(bytes_of(t.dtype));
}

double number_at(const void* at, int32_t dtype) {
  if (dtype == DSA_F32) {
    float v;
    std::memcpy(&v, at, 4);
    return v;
  }
  if (dtype == DSA_I32) {
    int32_t v;
    std::memcpy(&v, at, 4);
    return v;
  }
  if (dtype == DSA_F8_E4M3FN) return e4m3_to_double(*static_cast<const uint8_t*>(at));
  if (dtype == DSA_U8) return *static_cast<const uint8_t*>(at);
  uint16_t bits;
  std::memcpy(&bits, at, 2);
  return dtype == DSA_F16 ? f16_to_double(bits) : bf16_to_double(bits);
}

double number(const dsa_tensor& t, const std::vector<int64_t>& index) {
  return number_at(address(t, index), t.dtype);
}

int64_t integer(const dsa_tensor& t, const std::vector<int64_t>& index) {
  int32_t v;
  std::memcpy(&v, address(t, index), 4);
  return v;
}

std::vector<int64_t> row_index(const dsa_tensor& t, int inner, int64_t row) {
  if (t.ndim == inner + 1) return {row};
  return {row / t.shape[1], row % t.shape[1]};
}

int64_t row_count(const dsa_tensor& t, int inner) {
  return t.ndim == inner + 1 ? t.shape[0] : t.shape[0] * t.shape[1];
}

char* row_address(const dsa_tensor& t, int64_t row, const std::vector<int64_t>& inner) {
  std::vector<int64_t> index = row_index(t, static_cast<int>(inner.size()), row);
  index.insert(index.end(), inner.begin(), inner.end());
  return address(t, index);
}

double row_number(const dsa_tensor& t, int64_t row, const std::vector<int64_t>& inner) {
  return number_at(row_address(t, row, inner), t.dtype);
}

int64_t row_integer(const dsa_tensor& t, int64_t row, const std::vector<int64_t>& inner) {
  int32_t v;
  std::memcpy(&v, row_address(t, row, inner), 4);
  return v;
}

double unit(int32_t dtype) {
  if (dtype == DSA_BF16) return std::ldexp(1.0, -8);
  if (dtype == DSA_F16) return std::ldexp(1.0, -11);
  return std::ldexp(1.0, -24);
}

}  // namespace oracle
