// A build without CUDA.
#include "compute.h"
#include "error.h"

namespace tinylm {

std::unique_ptr<Compute> cuda_compute() {
  throw BadInput("--device cuda: built without CUDA; script/demo --device cuda builds with it");
}

}  // namespace tinylm
