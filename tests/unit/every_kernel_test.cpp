// Every kernel of the registry that this machine can run is forced, runs, and agrees with the
// scalar tier. DSA_REQUIRE_FAMILY=avx512 makes it an error that one of that family cannot run: so
// the emulator's run proves that each AVX-512 kernel was executed.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "small_calls.h"

namespace {

using dsa::small_calls::kOperations;
using dsa::small_calls::Operation;
using dsa::small_calls::Result;

using Context = std::unique_ptr<dsa_ctx, decltype(&dsa_ctx_destroy)>;

// A context that has read `name` = `value` from the environment.
Context context_with(const char* name, const std::string& value) {
  const char* before = std::getenv(name);
  const std::string saved = before ? before : "";
  setenv(name, value.c_str(), 1);
  dsa_ctx* ctx = nullptr;
  const dsa_status status = dsa_ctx_create(nullptr, &ctx);
  if (before) {
    setenv(name, saved.c_str(), 1);
  } else {
    unsetenv(name);
  }
  EXPECT_EQ(status, DSA_OK) << dsa_last_error();
  return {ctx, dsa_ctx_destroy};
}

std::vector<dsa_kernel_info> all_kernels() {
  const Context ctx = context_with("DSA_KERNEL", "");
  std::vector<dsa_kernel_info> kernels;
  for (;;) {
    dsa_kernel_info info = {};
    info.struct_size = sizeof info;
    if (dsa_kernel_get(ctx.get(), static_cast<int32_t>(kernels.size()), &info) != DSA_OK) break;
    kernels.push_back(info);
  }
  return kernels;
}

void expect_agreement(const Operation& operation, const std::string& family, const Result& result,
                      const Result& scalar) {
  ASSERT_EQ(result.status, DSA_OK) << result.error;
  ASSERT_EQ(scalar.status, DSA_OK) << scalar.error;
  ASSERT_EQ(result.words.size(), scalar.words.size());
  if (operation.exact) {
    EXPECT_EQ(result.words, scalar.words);
    return;
  }
  // f32 throughout, but for AMX, which rounds P to bf16; |v| <= 3, merged parts <= 9.
  const float bound = family == "amx" ? 3e-2f : 5e-5f;
  for (size_t i = 0; i < result.words.size(); ++i) {
    ASSERT_LE(std::fabs(result.real(i) - scalar.real(i)), bound) << "word " << i;
  }
}

TEST(EveryKernel, AgreesWithTheScalarTier) {
  const char* required = std::getenv("DSA_REQUIRE_FAMILY");
  const Context scalar = context_with("DSA_CPU_ISA", "scalar");
  int required_ran = 0;
  for (const dsa_kernel_info& kernel : all_kernels()) {
    SCOPED_TRACE(kernel.name);
    const std::string family = kernel.family;
    if (!kernel.usable) {
      std::printf("  %-26s not usable: %s\n", kernel.name, kernel.reason);
      EXPECT_FALSE(required && family == required) << kernel.reason;
      continue;
    }
    const Context ctx = context_with("DSA_KERNEL", kernel.name);
    int calls = 0;
    for (const Operation& operation : kOperations) {
      if (operation.kind != kernel.operation) continue;
      for (const int32_t dtype : {DSA_F32, DSA_BF16}) {
        if (family == "amx" && dtype != DSA_BF16) continue;
        expect_agreement(operation, family, operation.run(ctx.get(), dtype, {}),
                         operation.run(scalar.get(), dtype, {}));
        ++calls;
      }
    }
    EXPECT_GT(calls, 0) << "no call for operation " << kernel.operation;
    std::printf("  %-26s ran\n", kernel.name);
    if (required && family == required) ++required_ran;
  }
  if (required) {
    EXPECT_GT(required_ran, 0) << "no kernel of family " << required;
  }
}

}  // namespace
