#include "support/element.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace support {
namespace {

// Nearest multiple of the type's step around value; ties to even by std::nearbyint.
double round_to(double value, int mantissa_bits, int min_exponent) {
  if (value == 0 || !std::isfinite(value)) return value;
  const int exponent = std::max(std::ilogb(value), min_exponent);
  const double step = std::ldexp(1.0, exponent - mantissa_bits);
  return std::nearbyint(value / step) * step;
}

uint32_t pack(double value, int mantissa_bits, int min_exponent, double largest) {
  const uint32_t sign = std::signbit(value) ? 1 : 0;
  const uint32_t top = uint32_t(1 - min_exponent) * 2 + 1;  // exponent field of infinity
  const int sign_at = mantissa_bits + (top > 31 ? 8 : 5);
  if (std::isnan(value)) return (top << mantissa_bits) | (1u << (mantissa_bits - 1));
  const double size = std::fabs(round_to(value, mantissa_bits, min_exponent));
  uint32_t field = top << mantissa_bits;
  if (size <= largest) {
    const int exponent = size == 0 ? min_exponent : std::max(std::ilogb(size), min_exponent);
    const double units = std::ldexp(size, mantissa_bits - exponent);
    const bool normal = units >= std::ldexp(1.0, mantissa_bits);
    field = uint32_t(units) - (normal ? 1u << mantissa_bits : 0);
    if (normal) field |= uint32_t(exponent - min_exponent + 1) << mantissa_bits;
  }
  return (sign << sign_at) | field;
}

}  // namespace

int64_t dtype_bytes(int32_t dtype) {
  switch (dtype) {
    case DSA_F32:
    case DSA_I32:
      return 4;
    case DSA_F16:
    case DSA_BF16:
      return 2;
    default:
      return 1;
  }
}

uint16_t to_f16(double value) { return uint16_t(pack(value, 10, -14, 65504.0)); }

uint16_t to_bf16(double value) { return uint16_t(pack(value, 7, -126, 3.3895313892515355e38)); }

uint8_t to_e4m3(double value) {
  const uint8_t sign = std::signbit(value) ? 0x80 : 0;
  const double size = std::fabs(round_to(value, 3, -6));
  if (!(size <= 448)) return sign | 0x7f;
  const int exponent = size == 0 ? -6 : std::max(std::ilogb(size), -6);
  const int units = int(std::ldexp(size, 3 - exponent));  // 8 .. 15 when normal
  return uint8_t(sign | (units >= 8 ? ((exponent + 7) << 3) | (units - 8) : units));
}

void store(void* at, int32_t dtype, double value) {
  switch (dtype) {
    case DSA_F32: {
      const float v = float(value);
      std::memcpy(at, &v, 4);
      return;
    }
    case DSA_I32: {
      const int32_t v = int32_t(value);
      std::memcpy(at, &v, 4);
      return;
    }
    case DSA_F16:
    case DSA_BF16: {
      const uint16_t v = dtype == DSA_F16 ? to_f16(value) : to_bf16(value);
      std::memcpy(at, &v, 2);
      return;
    }
    case DSA_F8_E4M3FN:
      *static_cast<uint8_t*>(at) = to_e4m3(value);
      return;
    default:
      *static_cast<uint8_t*>(at) = uint8_t(value);
  }
}

char* at(const dsa_tensor& t, const int64_t* index) {
  int64_t offset = 0;
  for (int i = 0; i < t.ndim; ++i) offset += index[i] * t.stride[i];
  return static_cast<char*>(t.data) + offset * dtype_bytes(t.dtype);
}

}  // namespace support
