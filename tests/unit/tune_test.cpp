// The file of constants: what is written is read, what is damaged is refused with its reason, and
// a machine believes its own file alone.
#include "hybrid/tune.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "core/error.h"
#include "hybrid/tune_file.h"
#include "support/scratch.h"

namespace {

namespace fs = std::filesystem;
using dsa::parse_tune;
using dsa::Tune;
using dsa::write_tune;
using support::Scratch;

const std::string kMachine = "Some CPU, avx2, 8 CPUs, Some GPU (90, 132 multiprocessors)";

std::vector<double> values_of(const Tune& tune) {
  std::vector<double> values;
  dsa::each_constant(tune, [&](const std::string&, const char*, double v) { values.push_back(v); });
  return values;
}

// Every constant another number, of as many digits as the file has.
Tune numbered(bool has_gpu) {
  Tune tune;
  tune.has_gpu = has_gpu;
  double next = 1.5;
  dsa::each_constant(tune, [&](const std::string&, const char*, double& v) { v = next++; });
  return tune;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

void put(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string save_error(const dsa::TunePath& where) {
  try {
    save_tune(where, kMachine, Tune::built_in());
  } catch (const dsa::Error& error) {
    EXPECT_EQ(error.status, DSA_ERROR_INVALID);
    return error.text;
  }
  return "";
}

TEST(Tune, WhatIsWrittenIsRead) {
  for (const bool has_gpu : {false, true}) {
    const Tune tune = numbered(has_gpu);
    Tune read = Tune::built_in();
    read.has_gpu = has_gpu;
    EXPECT_EQ(parse_tune(write_tune(tune, kMachine), kMachine, read), "");
    EXPECT_EQ(values_of(read), values_of(tune));
  }
}

TEST(Tune, BuiltInConstantsAreAllThere) {
  for (const double value : values_of(Tune::built_in())) EXPECT_GT(value, 0);
  Tune read = Tune::built_in();
  EXPECT_EQ(parse_tune(write_tune(Tune::built_in(), kMachine), kMachine, read), "");
}

TEST(Tune, WindowsLineEndsSpacesAndRemarks) {
  std::string text = write_tune(numbered(true), kMachine);
  for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 5) {
    text.replace(at, 1, " \t\r\n\n");
  }
  Tune read = Tune::built_in();
  EXPECT_EQ(parse_tune(replaced(text, "cpu.call", "# a remark\n \tcpu.call  "), kMachine, read),
            "");
  EXPECT_EQ(values_of(read), values_of(numbered(true)));
}

TEST(Tune, DamagedTextsSayWhatIsWrong) {
  const std::string text = write_tune(numbered(true), kMachine);
  const auto expect = [](const std::string& damaged, const std::string& what) {
    Tune read = Tune::built_in();
    const std::string reason = parse_tune(damaged, kMachine, read);
    EXPECT_NE(reason.find(what), std::string::npos) << reason << "\nnot: " << what;
    EXPECT_EQ(values_of(read), values_of(Tune::built_in())) << what;
  };
  expect("", "it is empty");
  expect("libdsa-tune 2\n" + text.substr(text.find('\n') + 1), "line 1: is not \"libdsa-tune 1\"");
  expect(std::string(100, '\0'), "line 1: is not");
  expect(replaced(text, "cpu.call = 2.5", "cpu.call = fast"), "cpu.call is \"fast\", no number");
  expect(replaced(text, "cpu.call = 2.5", "cpu.call = 2,5"), "cpu.call is \"2,5\", no number");
  expect(replaced(text, "cpu.call = 2.5", "cpu.call ="), "cpu.call is \"\", no number");
  expect(replaced(text, "cpu.call = 2.5", "cpu.call = nan"), "cpu.call is \"nan\", no number");
  expect(replaced(text, "cpu.call = 2.5", "cpu.call = inf"), "cpu.call is \"inf\", no number");
  expect(replaced(text, "cpu.call = 2.5", "cpu.call = 0"), "cpu.call is 0, must be 1e-12 to 1e18");
  expect(replaced(text, "cpu.call = 2.5", "cpu.call = -1"), "cpu.call is -1, must be");
  expect(replaced(text, "cpu.call = 2.5", "cpu.call = 1e300"), "cpu.call is 1e300, must be");
  expect(replaced(text, "cpu.call = 2.5", "cpu.call 2.5"), "line 6: is not \"name = value\"");
  expect(replaced(text, "cpu.call = 2.5", "= 2.5"), "line 6: is not \"name = value\"");
  expect(replaced(text, "cpu.call =", "threads ="), "line 6: threads stands there twice");
  expect(replaced(text, "cpu.call =", "# cpu.call ="), "cpu.call is missing");
  expect(replaced(text, "cpu.call =", "cpu.colour = 1\ncpu.call ="),
         "line 6: there is no constant \"cpu.colour\"");
  expect(text + "cpu.call = 3\n", "stands behind \"end\"");
  expect(replaced(text, "8 CPUs", "16 CPUs"),
         "it is of another machine: \"Some CPU, avx2, 16 CPUs");
  expect(replaced(text, "machine =", "# machine ="), "it is of another machine: \"\"");
}

// Cut off anywhere, and with any one byte turned over, a file is either refused or gives numbers
// that are in range.
TEST(Tune, CutOffAndTurnedOverAnywhere) {
  const std::string text = write_tune(numbered(true), kMachine);
  for (size_t n = 0; n + 1 < text.size(); ++n) {
    Tune read = Tune::built_in();
    EXPECT_NE(parse_tune(text.substr(0, n), kMachine, read), "") << n;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    for (const int bit : {0x01, 0x10, 0x80}) {
      std::string turned = text;
      turned[i] = static_cast<char>(turned[i] ^ bit);
      Tune read = Tune::built_in();
      if (!parse_tune(turned, kMachine, read).empty()) continue;
      for (const double value : values_of(read)) {
        EXPECT_GE(value, 1e-12);
        EXPECT_LE(value, 1e18);
      }
    }
  }
}

TEST(Tune, ConstantsOfAGpuWhereThereIsNone) {
  Tune read = Tune::built_in();
  read.has_gpu = false;
  EXPECT_NE(parse_tune(write_tune(numbered(true), kMachine), kMachine, read), "");
  read.has_gpu = true;
  EXPECT_EQ(parse_tune(write_tune(numbered(false), kMachine), kMachine, read),
            "gpu.call is missing");
}

TEST(TuneFile, SavedAndLoaded) {
  const Scratch scratch;
  const std::string path = scratch.file("constants.txt");
  save_tune({path, false}, kMachine, numbered(true));
  save_tune({path, false}, kMachine, numbered(true));  // over the first
  Tune read = Tune::built_in();
  EXPECT_EQ(load_tune(path, kMachine, read), "");
  EXPECT_EQ(values_of(read), values_of(numbered(true)));
  EXPECT_EQ(scratch.files(), 1u) << "a temporary file was left";
}

TEST(TuneFile, FoldersAreMadeForTheDefaultPathAlone) {
  const Scratch scratch;
  const std::string path = scratch.file("cache/libdsa/tune.txt");
  EXPECT_NE(save_error({path, false}).find("No such file or directory"), std::string::npos);
  EXPECT_EQ(scratch.files(), 0u);
  EXPECT_EQ(save_error({path, true}), "");
  EXPECT_TRUE(fs::exists(path));
}

TEST(TuneFile, WhatCannotBeWrittenIsSaidAndLeavesNothing) {
  const Scratch scratch;
  EXPECT_EQ(save_error({"", true}),
            "tune: there is neither XDG_CACHE_HOME nor HOME; give tune_options.path");
  put(scratch.file("plain"), "x");
  const std::string below = scratch.file("plain") + "/tune.txt";
  EXPECT_EQ(save_error({below, true}), "tune: cannot write " + below + ": Not a directory");
  fs::create_directory(scratch.file("folder"));
  EXPECT_EQ(save_error({scratch.file("folder"), false}),
            "tune: cannot write " + scratch.file("folder") + ": Is a directory");
  EXPECT_EQ(scratch.files(), 2u) << "a temporary file was left";
  if (geteuid() == 0) return;  // may write everywhere
  ASSERT_EQ(chmod(scratch.file("folder").c_str(), 0500), 0);
  const std::string locked = scratch.file("folder") + "/tune.txt";
  EXPECT_EQ(save_error({locked, false}), "tune: cannot write " + locked + ": Permission denied");
  ASSERT_EQ(chmod(scratch.file("folder").c_str(), 0700), 0);
}

TEST(TuneFile, WhatCannotBeReadIsSaid) {
  const Scratch scratch;
  Tune read = Tune::built_in();
  const auto reason = [&](const std::string& path) { return load_tune(path, kMachine, read); };
  EXPECT_EQ(reason(""), "there is neither XDG_CACHE_HOME nor HOME");
  EXPECT_EQ(reason(scratch.file("nothing")), "No such file or directory");
  fs::create_directory(scratch.file("folder"));
  EXPECT_EQ(reason(scratch.file("folder")), "it is no regular file");
  ASSERT_EQ(mkfifo(scratch.file("pipe").c_str(), 0600), 0);
  EXPECT_EQ(reason(scratch.file("pipe")), "it is no regular file");  // and does not wait for it
  put(scratch.file("large"), std::string(70000, '#'));
  EXPECT_EQ(reason(scratch.file("large")), "it has more than 65536 bytes");
  EXPECT_EQ(values_of(read), values_of(Tune::built_in()));
}

class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before, was_set_ = true;
    if (value) {
      setenv(name, value, 1);
    } else {
      unsetenv(name);
    }
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

TEST(TuneFile, WhereItLies) {
  const Variable home("HOME", "/home/somebody");
  {
    const Variable cache("XDG_CACHE_HOME", "/cache");
    EXPECT_EQ(dsa::find_tune_path("/a/file", "/b", kMachine).path, "/a/file");
    EXPECT_EQ(dsa::find_tune_path(nullptr, "/b", kMachine).path, "/b");
    EXPECT_EQ(dsa::find_tune_path("", "/b", kMachine).path, "/b");
    const dsa::TunePath own = dsa::find_tune_path(nullptr, "", kMachine);
    EXPECT_EQ(own.path.rfind("/cache/libdsa/tune-", 0), 0u) << own.path;
    EXPECT_TRUE(own.is_default);
    EXPECT_NE(dsa::find_tune_path(nullptr, "", kMachine + "x").path, own.path);
  }
  {
    const Variable cache("XDG_CACHE_HOME", "relative");
    EXPECT_EQ(dsa::find_tune_path(nullptr, "", kMachine)
                  .path.rfind("/home/somebody/.cache/libdsa/tune-", 0),
              0u);
  }
  const Variable cache("XDG_CACHE_HOME", nullptr), no_home("HOME", nullptr);
  EXPECT_EQ(dsa::find_tune_path(nullptr, "", kMachine).path, "");
}

TEST(TuneFile, MachinesAreToldApart) {
  dsa::DeviceInfo device;
  device.compute_capability = 90;
  device.multiprocessors = 132;
  std::snprintf(device.name, sizeof device.name, "A GPU\nof two lines");
  const std::string line = dsa::machine_line(dsa::CpuTier::kAvx2, &device);
  EXPECT_NE(line.find(", avx2, "), std::string::npos) << line;
  EXPECT_NE(line.find(", A GPU of two lines (90, 132 multiprocessors)"), std::string::npos) << line;
  EXPECT_NE(line, dsa::machine_line(dsa::CpuTier::kAvx2, nullptr));
  EXPECT_NE(line, dsa::machine_line(dsa::CpuTier::kScalar, &device));
  Tune read = Tune::built_in();
  EXPECT_EQ(parse_tune(write_tune(numbered(true), line), line, read), "");
}

}  // namespace
