// dsa_tune: what it writes, what contexts make of it, and that nothing else writes files.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "dsa.h"
#include "support/kernels.h"
#include "support/scratch.h"
#include "support/small_forward.h"

namespace {

namespace fs = std::filesystem;
using support::Context;
using support::Scratch;
using support::SmallForward;

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Logged {
  std::vector<std::string> lines;
  static void add(void* user, int32_t, const char* line) {
    static_cast<Logged*>(user)->lines.push_back(line);
  }
  bool has(const std::string& part) const {
    for (const std::string& line : lines) {
      if (line.find(part) != std::string::npos) return true;
    }
    return false;
  }
};

class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before, was_set_ = true;
    setenv(name, value.c_str(), 1);
  }
  ~Variable() {
    if (was_set_) {
      setenv(name_, before_.c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::string before_;
  bool was_set_ = false;
};

Context context(const char* tune_path, Logged* log = nullptr) {
  dsa_ctx_options options{};
  options.struct_size = sizeof options;
  options.num_threads = 2;
  options.tune_path = tune_path;
  if (log) {
    options.log = Logged::add;
    options.log_user = log;
  }
  dsa_ctx* ctx = nullptr;
  EXPECT_EQ(dsa_ctx_create(&options, &ctx), DSA_OK) << dsa_last_error();
  return Context(ctx);
}

// What a context says of its constants.
std::string constants_of(dsa_ctx* ctx) {
  uint64_t bytes = 0;
  EXPECT_EQ(dsa_ctx_describe(ctx, nullptr, 0, &bytes), DSA_OK);
  std::string text(bytes, '\0');
  EXPECT_EQ(dsa_ctx_describe(ctx, text.data(), bytes, nullptr), DSA_OK);
  const size_t begin = text.find("\"tune\": \"") + 9;
  return text.substr(begin, text.find('"', begin) - begin);
}

TEST(Tune, MeasuresWritesAndUses) {
  const Scratch scratch;
  const std::string path = scratch.file("constants.txt");
  const Variable topics("DSA_LOG", "dispatch,context");
  Logged log;
  const Context ctx = context(path.c_str(), &log);
  EXPECT_EQ(constants_of(ctx.get()),
            "built-in constants (" + path + ": No such file or directory)");
  EXPECT_TRUE(log.has("context: built-in constants (")) << "DSA_LOG=context says so";

  struct Heard {
    double last = -1;
    int steps = 0;
    bool ended = false;
  } heard;
  dsa_tune_options options{};
  options.struct_size = sizeof options;
  options.progress_user = &heard;
  options.progress = [](void* user, double done, const char* what) {
    Heard& h = *static_cast<Heard*>(user);
    EXPECT_GT(done, h.last);
    EXPECT_NE(what, nullptr);
    h.last = done;
    ++h.steps;
    h.ended = done == 1;
  };
  ASSERT_EQ(dsa_tune(ctx.get(), &options), DSA_OK) << dsa_last_error();
  EXPECT_TRUE(heard.ended);
  EXPECT_GE(heard.steps, 5);
  EXPECT_EQ(constants_of(ctx.get()), "constants of " + path);
  EXPECT_EQ(read(path).rfind("libdsa-tune 1\n", 0), 0u);
  EXPECT_EQ(scratch.files(), 1u) << "one file, no rest";

  // Another context believes it; the log names it where `auto` chooses.
  Logged other_log;
  const Context other = context(path.c_str(), &other_log);
  EXPECT_EQ(constants_of(other.get()), "constants of " + path);
  SmallForward call;
  ASSERT_EQ(dsa_forward(other.get(), &call.d, nullptr), DSA_OK) << dsa_last_error();
  EXPECT_TRUE(other_log.has("dispatch: forward.cpu: predicted "));
  EXPECT_TRUE(other_log.has("dispatch: forward.gpu: the context has no CUDA device"));
  EXPECT_TRUE(other_log.has("dispatch: forward.cpu (auto, gpu_busy 0.00, constants of " + path));

  // Not a context whose CPU tier is another.
  const Variable isa("DSA_CPU_ISA", "scalar");
  const Context scalar = context(path.c_str());
  if (read(path).find(", scalar, ") == std::string::npos) {
    EXPECT_NE(constants_of(scalar.get()).find("it is of another machine"), std::string::npos)
        << constants_of(scalar.get());
  }
}

TEST(Tune, TheEnvironmentNamesTheFile) {
  const Scratch scratch;
  const std::string by_variable = scratch.file("a.txt"), by_option = scratch.file("b.txt");
  const Variable file("DSA_TUNE_FILE", by_variable);
  EXPECT_NE(constants_of(context(nullptr).get()).find(by_variable), std::string::npos);
  EXPECT_NE(constants_of(context(by_option.c_str()).get()).find(by_option), std::string::npos);
}

TEST(Tune, NothingElseWritesFiles) {
  const Scratch scratch;
  const Variable cache("XDG_CACHE_HOME", scratch.path().string());
  const Variable file("DSA_TUNE_FILE", "");
  {
    const Context ctx = context(nullptr);
    SmallForward call;
    ASSERT_EQ(dsa_forward(ctx.get(), &call.d, nullptr), DSA_OK) << dsa_last_error();
    dsa_plan* plan = nullptr;
    ASSERT_EQ(dsa_plan_create(ctx.get(), &call.d, &plan), DSA_OK) << dsa_last_error();
    dsa_plan_destroy(plan);
    EXPECT_NE(constants_of(ctx.get()).find(scratch.file("libdsa/tune-")), std::string::npos);
  }
  EXPECT_TRUE(fs::is_empty(scratch.path()));
}

TEST(Tune, Refusals) {
  const Scratch scratch;
  const Context ctx = context(nullptr);
  const auto expect = [&](dsa_tune_options options, dsa_status status, const std::string& text) {
    EXPECT_STREQ(dsa_status_name(dsa_tune(ctx.get(), &options)), dsa_status_name(status));
    EXPECT_NE(std::string(dsa_last_error()).find(text), std::string::npos) << dsa_last_error();
  };
  dsa_tune_options options{};
  options.struct_size = sizeof options;
  EXPECT_EQ(dsa_tune(nullptr, &options), DSA_ERROR_INVALID);
  EXPECT_STREQ(dsa_last_error(), "tune: ctx is NULL");
  dsa_tune_options changed = options;
  changed.flags = 4;
  expect(changed, DSA_ERROR_INVALID, "tune_options.flags is 0x4, none is defined");
  changed = options;
  changed.struct_size = 8;
  expect(changed, DSA_ERROR_STRUCT_SIZE, "tune_options.struct_size is 8");
  // Before anything is measured.
  bool measured = false;
  changed = options;
  changed.progress_user = &measured;
  changed.progress = [](void* user, double, const char*) { *static_cast<bool*>(user) = true; };
  const std::string nowhere = scratch.file("no/such/folder.txt");
  changed.path = nowhere.c_str();
  expect(changed, DSA_ERROR_INVALID,
         "tune: cannot write " + nowhere + ": No such file or directory");
  const std::string folder = scratch.path().string();
  changed.path = folder.c_str();
  expect(changed, DSA_ERROR_INVALID, "tune: cannot write " + folder + ": Is a directory");
  EXPECT_FALSE(measured);
  EXPECT_TRUE(fs::is_empty(scratch.path()));
}

}  // namespace
