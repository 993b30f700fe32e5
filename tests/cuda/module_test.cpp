// A context that asks for a CUDA device where the module, the driver or the device is missing or
// wrong: every error says what was tried and why it failed, and the CPU goes on working.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/kernels.h"

using support::Context;
namespace fs = std::filesystem;

namespace {

const std::string kFakes = FAKES;    // folders old, layout, other with a libdsa-cuda.so each
const std::string kModule = MODULE;  // "" where this build has none

// An environment variable for a while; nullptr: not set.
class Setting {
 public:
  Setting(const char* name, const char* value) : name_(name) {
    const char* before = std::getenv(name);
    had_ = before != nullptr;
    if (had_) before_ = before;
    put(value);
  }
  ~Setting() { put(had_ ? before_.c_str() : nullptr); }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  void put(const char* value) { value ? setenv(name_, value, 1) : unsetenv(name_); }

  const char* name_;
  bool had_;
  std::string before_;
};

// A folder that goes with the test.
class Folder {
 public:
  Folder() {
    std::string name = fs::temp_directory_path() / "dsa-module-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

dsa_ctx_options cuda_options(const char* module_path, uint32_t flags = 0) {
  dsa_ctx_options options{};
  options.struct_size = sizeof options;
  options.num_threads = 1;
  options.device = DSA_DEVICE_CUDA;
  options.module_path = module_path;
  options.flags = flags;
  return options;
}

// The text of the error that a context with this module gives.
std::string error_with(const std::string& module_path) {
  const dsa_ctx_options options = cuda_options(module_path.c_str());
  dsa_ctx* ctx = nullptr;
  EXPECT_EQ(dsa_ctx_create(&options, &ctx), DSA_ERROR_NO_BACKEND) << module_path;
  EXPECT_EQ(ctx, nullptr);
  return dsa_last_error();
}

Context optional_context(const std::string& module_path) {
  const dsa_ctx_options options = cuda_options(module_path.c_str(), DSA_CTX_DEVICE_OPTIONAL);
  dsa_ctx* ctx = nullptr;
  EXPECT_EQ(dsa_ctx_create(&options, &ctx), DSA_OK) << dsa_last_error();
  return Context(ctx);
}

std::string describe(const dsa_ctx* ctx) {
  uint64_t bytes = 0;
  EXPECT_EQ(dsa_ctx_describe(ctx, nullptr, 0, &bytes), DSA_OK);
  std::string text(bytes, '\0');
  EXPECT_EQ(dsa_ctx_describe(ctx, text.data(), bytes, nullptr), DSA_OK);
  return text;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bool has_device() {
  const dsa_ctx_options options = cuda_options(kModule.c_str());
  dsa_ctx* ctx = nullptr;
  const Context holder(dsa_ctx_create(&options, &ctx) == DSA_OK ? ctx : nullptr);
  return holder != nullptr;
}

TEST(Module, MissingFile) {
  EXPECT_EQ(error_with("/nonexistent/module.so"),
            "ctx_create: no CUDA module: /nonexistent/module.so: no such file");
}

TEST(Module, FolderWithout) {
  const Folder folder;
  EXPECT_EQ(error_with(folder.path()),
            "ctx_create: no CUDA module: " + folder / "libdsa-cuda.so" + ": no such file");
}

TEST(Module, Garbage) {
  const Folder folder;
  const std::string path = folder / "libdsa-cuda.so";
  std::ofstream(path) << std::string(4096, 'x');
  const std::string text = error_with(folder.path());
  EXPECT_TRUE(has(text, path + ": ")) << text;
  EXPECT_TRUE(has(text, "invalid ELF header")) << text;

  std::ofstream(path, std::ios::trunc).close();
  EXPECT_TRUE(has(error_with(path), "file too short")) << dsa_last_error();
}

TEST(Module, OldNumber) {
  const std::string path = kFakes + "/old/libdsa-cuda.so";
  EXPECT_EQ(error_with(path),
            "ctx_create: no CUDA module: " + path + ": of another version of libdsa");
}

TEST(Module, OtherLayout) {
  const std::string path = kFakes + "/layout/libdsa-cuda.so";
  EXPECT_EQ(error_with(kFakes + "/layout"),
            "ctx_create: no CUDA module: " + path + ": of another version of libdsa");
}

TEST(Module, SomebodyElses) {
  const std::string path = kFakes + "/other/libdsa-cuda.so";
  EXPECT_EQ(error_with(path), "ctx_create: no CUDA module: " + path + ": not a module of libdsa");
}

TEST(Module, EnvironmentNamesIt) {
  const std::string old = kFakes + "/old";
  const Setting setting("DSA_BACKEND_PATH", old.c_str());
  EXPECT_TRUE(has(error_with(""), old + "/libdsa-cuda.so: of another version")) << dsa_last_error();
  // The option goes first.
  EXPECT_TRUE(has(error_with(kFakes + "/other"), "/other/libdsa-cuda.so: not a module"))
      << dsa_last_error();
  EXPECT_FALSE(has(dsa_last_error(), old)) << dsa_last_error();
}

// Where nobody names it: "dsa" beside the library, beside the library, the loader's path. Tried on
// a copy of the library, which has nothing beside it.
TEST(Module, SearchedBesideTheLibrary) {
  const Setting setting("DSA_BACKEND_PATH", nullptr);
  const Folder folder;
  const std::string copy = folder / "libdsa.so";
  fs::copy_file(LIBRARY, copy);
  void* library = dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  const auto create = reinterpret_cast<decltype(&dsa_ctx_create)>(dlsym(library, "dsa_ctx_create"));
  const auto last_error =
      reinterpret_cast<decltype(&dsa_last_error)>(dlsym(library, "dsa_last_error"));
  ASSERT_TRUE(create && last_error);
  const dsa_ctx_options options = cuda_options(nullptr);
  dsa_ctx* ctx = nullptr;
  EXPECT_EQ(create(&options, &ctx), DSA_ERROR_NO_BACKEND);
  EXPECT_EQ(last_error(), "ctx_create: no CUDA module: " + folder / "dsa/libdsa-cuda.so" +
                              ": no such file; " + folder / "libdsa-cuda.so" +
                              ": no such file; libdsa-cuda.so: not on the loader's path");

  // A bad file in the first place does not keep it from looking in the second.
  fs::create_directory(folder / "dsa");
  std::ofstream(folder / "dsa/libdsa-cuda.so") << std::string(4096, 'x');
  fs::copy_file(kFakes + "/old/libdsa-cuda.so", folder / "libdsa-cuda.so");
  EXPECT_EQ(create(&options, &ctx), DSA_ERROR_NO_BACKEND);
  EXPECT_TRUE(has(last_error(), "dsa/libdsa-cuda.so: ")) << last_error();
  EXPECT_TRUE(has(last_error(), folder / "libdsa-cuda.so" + ": of another version of libdsa"))
      << last_error();
}

TEST(Module, OptionalDeviceLeavesTheCpu) {
  const Context ctx = optional_context("/nonexistent/module.so");
  ASSERT_TRUE(ctx);
  EXPECT_TRUE(has(describe(ctx.get()), "/nonexistent/module.so: no such file"));

  float scores[2][4] = {{1, 9, 3, 9}, {-2, -1, -4, -3}};
  int32_t indices[2][2] = {};
  dsa_topk_desc d = dsa_topk_desc_init();
  d.scores = dsa_tensor_2d(scores, DSA_F32, 2, 4);
  d.k = 2;
  d.indices = dsa_tensor_2d(indices, DSA_I32, 2, 2);
  ASSERT_EQ(dsa_topk(ctx.get(), &d, nullptr), DSA_OK) << dsa_last_error();
  EXPECT_EQ(indices[0][1], 3);
  EXPECT_EQ(indices[1][0], 0);
}

TEST(Module, UnknownFlagsAndDevices) {
  dsa_ctx* ctx = nullptr;
  dsa_ctx_options options = cuda_options("/nonexistent", 6);
  EXPECT_EQ(dsa_ctx_create(&options, &ctx), DSA_ERROR_INVALID);
  EXPECT_TRUE(has(dsa_last_error(), "ctx_options.flags is 0x6")) << dsa_last_error();
  options = cuda_options("/nonexistent");
  options.device_id = -1;
  EXPECT_EQ(dsa_ctx_create(&options, &ctx), DSA_ERROR_INVALID);
  EXPECT_TRUE(has(dsa_last_error(), "ctx_options.device_id is -1")) << dsa_last_error();
}

// A tensor that claims to lie on the GPU is not read by the CPU.
TEST(Module, CudaTensorsInACpuContext) {
  int32_t indices[2][2];
  dsa_topk_desc d = dsa_topk_desc_init();
  d.scores = dsa_tensor_2d(reinterpret_cast<void*>(uintptr_t{4096}), DSA_F32, 2, 4);
  d.k = 2;
  d.indices = dsa_tensor_2d(indices, DSA_I32, 2, 2);
  d.scores.device = d.indices.device = DSA_DEVICE_CUDA;

  const Context cpu = support::make_context();
  const std::string says = "topk.scores.device is 2 (CUDA), but the context has no CUDA device";
  EXPECT_EQ(dsa_topk(cpu.get(), &d, nullptr), DSA_ERROR_NO_BACKEND);
  EXPECT_EQ(dsa_last_error(), says);
  EXPECT_EQ(dsa_supports(cpu.get(), &d), DSA_ERROR_NO_BACKEND);
  EXPECT_EQ(dsa_last_error(), says);
  uint64_t bytes = 0;
  EXPECT_EQ(dsa_workspace_size(cpu.get(), &d, &bytes), DSA_ERROR_NO_BACKEND);
  dsa_plan* plan = nullptr;
  EXPECT_EQ(dsa_plan_create(cpu.get(), &d, &plan), DSA_ERROR_NO_BACKEND);
  EXPECT_EQ(plan, nullptr);

  // A context that wanted a device says why it has none.
  const Context wanted = optional_context("/nonexistent/module.so");
  EXPECT_EQ(dsa_topk(wanted.get(), &d, nullptr), DSA_ERROR_NO_BACKEND);
  EXPECT_TRUE(has(dsa_last_error(), says + ": ctx_create: no CUDA module: /nonexistent"))
      << dsa_last_error();

  // One tensor is enough.
  d.scores.device = DSA_DEVICE_CPU;
  EXPECT_EQ(dsa_topk(cpu.get(), &d, nullptr), DSA_ERROR_NO_BACKEND);
  EXPECT_TRUE(has(dsa_last_error(), "topk.indices.device is 2 (CUDA)")) << dsa_last_error();
}

TEST(Module, NoDriver) {
  if (kModule.empty()) GTEST_SKIP() << "this build has no CUDA module";
  if (has_device()) GTEST_SKIP() << "this machine has a CUDA device";
  if (void* driver = dlopen("libcuda.so.1", RTLD_NOW)) {
    dlclose(driver);
    GTEST_SKIP() << "this machine has a driver";
  }
  const std::string text = error_with(kModule);
  EXPECT_TRUE(has(text,
                  "ctx_create: there is no CUDA driver (libcuda.so.1); this module needs one "
                  "for CUDA "))
      << text;
  EXPECT_TRUE(has(text, "(module " + kModule + ")")) << text;

  // The module's kernels are listed, with the reason.
  const Context ctx = optional_context(kModule);
  bool listed = false;
  for (int32_t i = 0;; ++i) {
    dsa_kernel_info info{};
    info.struct_size = sizeof info;
    if (dsa_kernel_get(ctx.get(), i, &info) != DSA_OK) break;
    if (info.device != DSA_DEVICE_CUDA) continue;
    listed = true;
    EXPECT_EQ(info.usable, 0) << info.name;
    EXPECT_TRUE(has(info.reason, "there is no CUDA driver")) << info.name << ": " << info.reason;
  }
  EXPECT_TRUE(listed);
}

// Run with a libcuda.so.1 that says it is of CUDA 12.4.
TEST(Module, OldDriver) {
  const char* version = std::getenv("DSA_TEST_OLD_DRIVER");
  if (!version) GTEST_SKIP() << "runs as the test cuda-old-driver";
  const std::string text = error_with(kModule);
  EXPECT_TRUE(has(text, std::string("ctx_create: the CUDA driver is for CUDA ") + version +
                            ", this module needs "))
      << text;
  EXPECT_TRUE(has(text, "(module " + kModule + ")")) << text;
}

}  // namespace
