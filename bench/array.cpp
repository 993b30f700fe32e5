#include "array.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace bench {
namespace {

uint16_t to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// A magnitude below 2^(emax+1) as an integer count of the format's units in the last place; the
// exponent's own bits are those above the mantissa.
uint32_t to_small_float(float magnitude, int mantissa_bits, int min_exponent) {
  if (magnitude == 0) return 0;
  int exponent;
  std::frexp(magnitude, &exponent);  // magnitude = m 2^exponent, m in [0.5, 1)
  exponent = std::max(exponent - 1, min_exponent);
  // Round to nearest even; a carry into the next binade gives the right code by itself.
  const auto units = uint32_t(std::nearbyint(std::ldexp(magnitude, mantissa_bits - exponent)));
  return units + (uint32_t(exponent - min_exponent) << mantissa_bits);
}

float from_small_float(uint32_t code, int mantissa_bits, int min_exponent) {
  const uint32_t exponent = code >> mantissa_bits;
  const uint32_t mantissa = code & ((1u << mantissa_bits) - 1);
  if (exponent == 0) return std::ldexp(float(mantissa), min_exponent - mantissa_bits);
  return std::ldexp(float(mantissa | 1u << mantissa_bits),
                    int(exponent) - 1 + min_exponent - mantissa_bits);
}

uint16_t to_f16(float value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const float magnitude = std::fabs(value);
  if (std::isnan(value)) return sign | 0x7e00;
  if (magnitude >= 65520.0f) return sign | 0x7c00;
  return uint16_t(sign | to_small_float(magnitude, 10, -14));
}

float from_f16(uint16_t bits) {
  const uint32_t code = bits & 0x7fff;
  float value;
  if (code >= 0x7c00) {
    value = code == 0x7c00 ? INFINITY : NAN;
  } else {
    value = from_small_float(code, 10, -14);
  }
  return bits & 0x8000 ? -value : value;
}

uint8_t to_f8_e4m3fn(float value) {
  const uint8_t sign = std::signbit(value) ? 0x80 : 0;
  if (std::isnan(value)) return sign | 0x7f;
  const float magnitude =
      std::fmin(std::fabs(value), 448.0f);  // saturates, as the casts of engines
  return uint8_t(sign | to_small_float(magnitude, 3, -6));
}

float from_f8_e4m3fn(uint8_t bits) {
  const uint32_t code = bits & 0x7f;
  const float value = code == 0x7f ? NAN : from_small_float(code, 3, -6);
  return bits & 0x80 ? -value : value;
}

}  // namespace

int64_t dtype_bytes(int32_t dtype) {
  switch (dtype) {
    case DSA_F16:
    case DSA_BF16:
      return 2;
    case DSA_F8_E4M3FN:
    case DSA_U8:
      return 1;
    default:
      return 4;
  }
}

const char* dtype_name(int32_t dtype) {
  switch (dtype) {
    case DSA_F32:
      return "f32";
    case DSA_F16:
      return "f16";
    case DSA_BF16:
      return "bf16";
    case DSA_F8_E4M3FN:
      return "e4m3";
    case DSA_U8:
      return "u8";
    case DSA_I32:
      return "i32";
    default:
      return "?";
  }
}

void encode(int32_t dtype, float value, void* to) {
  const auto store = [to](auto bits) { std::memcpy(to, &bits, sizeof bits); };
  switch (dtype) {
    case DSA_F16:
      return store(to_f16(value));
    case DSA_BF16:
      return store(to_bf16(value));
    case DSA_F8_E4M3FN:
      return store(to_f8_e4m3fn(value));
    case DSA_F32:
      return store(value);
    case DSA_U8:
      return store(uint8_t(value));
    default:
      return store(int32_t(value));
  }
}

float decode(int32_t dtype, const void* from) {
  const auto load = [from](auto bits) {
    std::memcpy(&bits, from, sizeof bits);
    return bits;
  };
  switch (dtype) {
    case DSA_F16:
      return from_f16(load(uint16_t()));
    case DSA_BF16:
      return std::bit_cast<float>(uint32_t(load(uint16_t())) << 16);
    case DSA_F8_E4M3FN:
      return from_f8_e4m3fn(load(uint8_t()));
    case DSA_F32:
      return load(float());
    case DSA_U8:
      return float(load(uint8_t()));
    default:
      return float(load(int32_t()));
  }
}

Array::Array(int32_t dtype, std::vector<int64_t> shape)
    : dtype_(dtype), shape_(std::move(shape)), size_(1) {
  for (const int64_t extent : shape_) size_ *= extent;
  const size_t rounded = (size_t(bytes()) + 255) / 256 * 256 + 256;
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(256, rounded)));
  if (!memory_) throw std::bad_alloc();
}

dsa_tensor Array::tensor(bool sizes_only) const {
  if (shape_.empty()) return dsa_tensor{};
  return dsa_tensor_make(sizes_only ? nullptr : memory_.get(), dtype_, int32_t(shape_.size()),
                         shape_.data());
}

dsa_tensor Array::sizes(int32_t dtype, const std::vector<int64_t>& shape) {
  return dsa_tensor_make(nullptr, dtype, int32_t(shape.size()), shape.data());
}

}  // namespace bench
