// A build without CUDA.
#include <stdexcept>

#include "cuda/device.h"

namespace bench {

std::unique_ptr<Device> open_device(int32_t) {
  throw std::runtime_error("--device cuda: this dsa-bench was built without -DDSA_CUDA=ON");
}

}  // namespace bench
