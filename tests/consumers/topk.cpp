// The same from C++, which compiles the header's inline functions by its own rules.
#include <dsa.h>

#include <array>
#include <cstdio>

int main() {
  std::array<float, 4> scores = {1, 9, 3, 9};
  std::array<int32_t, 2> indices = {};
  dsa_topk_desc d = dsa_topk_desc_init();
  d.scores = dsa_tensor_2d(scores.data(), DSA_F32, 1, 4);
  d.k = 2;
  d.indices = dsa_tensor_2d(indices.data(), DSA_I32, 1, 2);
  dsa_ctx *ctx = nullptr;
  if (dsa_ctx_create(nullptr, &ctx) != DSA_OK || dsa_topk(ctx, &d, nullptr) != DSA_OK) {
    std::puts(dsa_last_error());
    return 1;
  }
  dsa_ctx_destroy(ctx);
  return !(indices[0] == 1 && indices[1] == 3);
}
