// Contexts on the fake device.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include "fake_device.h"
#include "support/forward.h"
#include "support/kernels.h"

namespace support {

inline const FakeControl& fake() {
  static const FakeControl& control = []() -> const FakeControl& {
    void* module = dlopen(FAKE, RTLD_NOW | RTLD_LOCAL);
    if (!module) throw std::runtime_error(dlerror());
    return *reinterpret_cast<FakeControlEntry>(dlsym(module, kFakeControlName))();
  }();
  return control;
}

// The ring's slots are a fourth of `pinned_bytes`: few bytes give many chunks.
inline Context fake_context(uint64_t pinned_bytes = 0, uint32_t flags = 0, int32_t threads = 2,
                            const char* glob = "") {
  fake();
  dsa_ctx_options options{};
  options.struct_size = sizeof options;
  options.device = DSA_DEVICE_CUDA;
  options.module_path = FAKE;
  options.num_threads = threads;
  options.pinned_bytes = pinned_bytes;
  options.flags = flags;
  if (*glob) setenv("DSA_KERNEL", glob, 1);
  dsa_ctx* ctx = nullptr;
  EXPECT_EQ(dsa_ctx_create(&options, &ctx), DSA_OK) << dsa_last_error();
  unsetenv("DSA_KERNEL");
  return Context(ctx);
}

inline Where on_fake() { return {Where::kSaidOnDevice, fake().finish}; }

}  // namespace support
