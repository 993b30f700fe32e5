// The oracle's own reading of tensors: every element as a double. Shares no code with src/.
#pragma once

#include <cstdint>
#include <vector>

#include "dsa.h"

namespace oracle {

double f16_to_double(uint16_t bits);
double bf16_to_double(uint16_t bits);
double e4m3_to_double(uint8_t bits);

inline bool given(const dsa_tensor& t) { return t.ndim != 0; }

// Byte address of an element.
char* address(const dsa_tensor& t, const std::vector<int64_t>& index);

double number(const dsa_tensor& t, const std::vector<int64_t>& index);
double number_at(const void* address, int32_t dtype);
int64_t integer(const dsa_tensor& t, const std::vector<int64_t>& index);

// [T, ...] or [B, T/B, ...] with `inner` axes behind the rows: the index of row t.
std::vector<int64_t> row_index(const dsa_tensor& t, int inner, int64_t row);
int64_t row_count(const dsa_tensor& t, int inner);

// Elements of row t with `inner` more indices.
double row_number(const dsa_tensor& t, int64_t row, const std::vector<int64_t>& inner);
int64_t row_integer(const dsa_tensor& t, int64_t row, const std::vector<int64_t>& inner);
char* row_address(const dsa_tensor& t, int64_t row, const std::vector<int64_t>& inner);

// Half a unit in the last place of a dtype, relative.
double unit(int32_t dtype);

}  // namespace oracle
