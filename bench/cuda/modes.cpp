#include <algorithm>
#include <stdexcept>

#include "cuda/device.h"

namespace bench {

const std::vector<std::string>& device_mode_names() {
  static const std::vector<std::string> names = {"warm", "cold", "burst", "sustained"};
  return names;
}

DeviceMode device_mode_from_name(const std::string& name) {
  const auto& names = device_mode_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw std::invalid_argument("no timing '" + name + "'");
  return DeviceMode(found - names.begin());
}

}  // namespace bench
