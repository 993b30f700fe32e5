// Texts of failures.
#pragma once

#include <cstdio>
#include <string>
#include <type_traits>

namespace oracle {

// The arguments after each other, numbers in decimal.
template <class... Args>
std::string text(const Args&... args) {
  std::string out;
  const auto add = [&out](const auto& a) {
    if constexpr (std::is_floating_point_v<std::decay_t<decltype(a)>>) {
      char digits[40];
      std::snprintf(digits, sizeof digits, "%.9g", double(a));
      out += digits;
    } else if constexpr (std::is_arithmetic_v<std::decay_t<decltype(a)>>) {
      out += std::to_string(a);
    } else {
      out += a;
    }
  };
  (add(args), ...);
  return out;
}

}  // namespace oracle
