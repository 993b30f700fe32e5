// Writing elements of any dtype: the tests' own rounding (nearest, ties to even).
#pragma once

#include <cstdint>

#include "dsa.h"

namespace support {

int64_t dtype_bytes(int32_t dtype);

uint16_t to_f16(double value);
uint16_t to_bf16(double value);
uint8_t to_e4m3(double value);  // past 448: NaN

void store(void* at, int32_t dtype, double value);

// Address of an element; the index has t.ndim entries.
char* at(const dsa_tensor& t, const int64_t* index);

// Calls f(address, index) for every element in order.
template <class F>
void each_element(const dsa_tensor& t, F&& f) {
  int64_t index[5] = {};
  for (int i = 0; i < t.ndim; ++i) {
    if (t.shape[i] == 0) return;
  }
  if (t.ndim == 0) return;
  for (;;) {
    f(at(t, index), static_cast<const int64_t*>(index));
    int axis = t.ndim - 1;
    while (axis >= 0 && ++index[axis] == t.shape[axis]) index[axis--] = 0;
    if (axis < 0) return;
  }
}

}  // namespace support
