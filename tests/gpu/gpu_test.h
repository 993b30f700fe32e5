// What the GPU's own tests share: a context with the GPU, or the reason to skip.
#pragma once

#include <gtest/gtest.h>

#include "support/device.h"
#include "support/kernels.h"

namespace support {

// A context with the GPU and all its kernels; nullptr where there is none.
inline Context make_gpu_context(const char* glob = nullptr) {
  dsa_ctx_options options{};
  options.struct_size = sizeof options;
  options.device = DSA_DEVICE_CUDA;
  if (glob) setenv("DSA_KERNEL", glob, 1);
  dsa_ctx* ctx = nullptr;
  const dsa_status status = dsa_ctx_create(&options, &ctx);
  if (glob) unsetenv("DSA_KERNEL");
  return Context(status == DSA_OK ? ctx : nullptr);
}

}  // namespace support

// Where DSA_TEST_DEVICE asks for a GPU its absence is a failure.
#define DSA_GPU_OR_SKIP(ctx)                                    \
  const support::Context ctx = support::make_gpu_context();     \
  if (!ctx) {                                                   \
    ASSERT_FALSE(support::device_wanted()) << dsa_last_error(); \
    GTEST_SKIP() << dsa_last_error();                           \
  }
