// The program tinylm from outside: its last line, its verdicts, and what it says of bad input.

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace {

namespace fs = std::filesystem;

struct Result {
  int code = -1;
  std::string out, err;
};

std::string read(const fs::path &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const fs::path &path, const std::string &content) {
  std::ofstream(path, std::ios::binary) << content;
}

fs::path data() {
  const char *folder = std::getenv("TINYLM_DATA");
  EXPECT_NE(folder, nullptr) << "ctest sets TINYLM_DATA to examples/tinylm/data";
  return folder ? folder : "";
}

// A folder of its own for a test's files.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::path(testing::TempDir()) / "tinylm-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~Scratch() { fs::remove_all(path_); }
  const fs::path &path() const { return path_; }

 private:
  fs::path path_;
};

Result run(const std::string &arguments) {
  const Scratch scratch;
  const fs::path out = scratch.path() / "out", err = scratch.path() / "err";
  const std::string command =
      "'" TINYLM "' " + arguments + " >'" + out.string() + "' 2>'" + err.string() + "'";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(out), read(err)};
}

std::string last_line(const std::string &text) {
  const size_t end = text.find_last_not_of('\n');
  const size_t begin = text.rfind('\n', end);
  return text.substr(begin + 1, end - begin);
}

bool is_last_line(const std::string &line) {
  double loss = -1, reference = -1;
  std::sscanf(line.c_str(), "held-out loss: %lf nats/byte (reference %lf)", &loss, &reference);
  char expected[100];
  std::snprintf(expected, sizeof expected, "held-out loss: %.4f nats/byte (reference %.4f)", loss,
                reference);
  return loss > 0 && reference > 0 && line == expected;
}

// Exit code 2 and one line on stderr that says what is wrong.
void expect_bad_input(const std::string &arguments, const std::string &expected) {
  const Result r = run(arguments);
  EXPECT_EQ(r.code, 2) << arguments << '\n' << r.err;
  EXPECT_EQ(r.err.rfind("tinylm: error: ", 0), 0u) << r.err;
  EXPECT_EQ(r.err.find('\n'), r.err.size() - 1) << r.err;
  EXPECT_NE(r.err.find(expected), std::string::npos) << r.err << "not: " << expected;
  EXPECT_EQ(r.out, "") << arguments;
}

// The model with other content in some of its files.
class DamagedModel : public testing::Test {
 protected:
  void SetUp() override {
    for (const char *name : {"config.json", "model.safetensors", "held_out.txt",
                             "reference_4096.safetensors", "greedy.txt"}) {
      fs::create_symlink(data() / name, folder_.path() / name);
    }
    model_ = read(data() / "model.safetensors");
    std::memcpy(&header_bytes_, model_.data(), 8);
  }

  void put(const char *name, const std::string &content) {
    fs::remove(folder_.path() / name);
    write(folder_.path() / name, content);
  }

  // Of the same length, so that the header's length and all else stay right.
  static std::string replaced(std::string text, const std::string &from, const std::string &to) {
    EXPECT_EQ(from.size(), to.size());
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }

  void expect_bad_model(const std::string &content, const std::string &expected) {
    put("model.safetensors", content);
    expect_bad_input(arguments(), expected);
  }

  std::string arguments() const {
    return "--bytes 64 --generate 4 --model '" + folder_.path().string() + "'";
  }

  Scratch folder_;
  std::string model_;
  uint64_t header_bytes_ = 0;
};

TEST_F(DamagedModel, Truncated) {
  const size_t header_end = 8 + header_bytes_;
  const size_t tensor = model_.find("\"shape\"");
  for (const size_t n :
       {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{9}, tensor, tensor + 9, header_end - 1,
        header_end, header_end + 1, model_.size() / 2, model_.size() - 1}) {
    SCOPED_TRACE(n);
    expect_bad_model(model_.substr(0, n), n < header_end ? "truncated" : "bytes of data");
  }
}

TEST_F(DamagedModel, LyingHeaderLength) {
  for (const uint64_t length :
       {uint64_t{0}, header_bytes_ - 1, header_bytes_ + 8, uint64_t{model_.size()}, ~uint64_t{0}}) {
    SCOPED_TRACE(length);
    std::string content = model_;
    std::memcpy(content.data(), &length, 8);
    expect_bad_model(content, "model.safetensors: ");
  }
}

TEST_F(DamagedModel, LyingOffsets) {
  expect_bad_model(replaced(model_, "[131072,163840]", "[131072,999999]"), "takes 32768");
  expect_bad_model(replaced(model_, "[131072,163840]", "[131070,163838]"), "overlap");
  expect_bad_model(replaced(model_, "[12649472,12649984]", "[12649474,12649986]"),
                   "with 12649984 bytes of data");
}

TEST_F(DamagedModel, WrongTensors) {
  expect_bad_model(replaced(model_, "[768,256]", "[256,768]"), "has shape [256, 768]");
  expect_bad_model(replaced(model_, "\"BF16\"", "\"I16\" "), "is I16, expected BF16 or F32");
  expect_bad_model(replaced(model_, "layers.3.wuk.weight", "layers.3.wuX.weight"),
                   "has no tensor 'layers.3.wuk.weight'");
}

TEST_F(DamagedModel, WrongConfig) {
  const std::string config = read(data() / "config.json");
  const auto expect_bad_config = [&](const std::string &content, const std::string &expected) {
    put("config.json", content);
    expect_bad_input(arguments(), expected);
  };
  expect_bad_config("", "not JSON");
  expect_bad_config("[]", "not a JSON object");
  expect_bad_config(config.substr(0, config.size() / 2), "not JSON");
  expect_bad_config(replaced(config, "\"n_layers\": 6", "\"n_layers\": 0"), "n_layers");
  expect_bad_config(replaced(config, "\"n_layers\": 6", "\"n_layers\": 7"), "layers.6.");
  expect_bad_config(replaced(config, "\"ffn\": 768", "\"ffn\": -76"), "ffn is not a number");
  expect_bad_config(replaced(config, "\"ffn\": 768", "\"ffn\": 7e9"), "ffn is not a number");
  expect_bad_config(replaced(config, "\"n_heads\": 8", "\"n_heads\": 4"), "expected [256, 256]");
  expect_bad_config(replaced(config, "\"vocab\": 256", "\"vocab\": 255"), "vocab is 255");
}

TEST_F(DamagedModel, WrongOtherFiles) {
  put("reference_4096.safetensors",
      replaced(read(data() / "reference_4096.safetensors"), "[4096]", "[4,  ]"));
  expect_bad_input(arguments(), "reference_4096.safetensors: header is not JSON");
  put("held_out.txt", "x");
  expect_bad_input(arguments(), "fewer than two bytes");
  fs::remove(folder_.path() / "held_out.txt");
  expect_bad_input(arguments(), "cannot read");
  expect_bad_input("--model /nonexistent", "cannot read /nonexistent/config.json");
}

// Valid and wrong: the demonstration's own check must notice.
TEST_F(DamagedModel, WrongWeightFailsTheCheck) {
  std::string content = model_;
  content[content.size() - 1] = '\x40';  // the last gain of the last norm
  put("model.safetensors", content);
  const Result r = run(arguments());
  EXPECT_EQ(r.code, 1) << r.out;
  EXPECT_NE(r.out.find("FAILED"), std::string::npos);
  // On a slow machine progress comes before it.
  EXPECT_EQ(last_line(r.err), "tinylm: error: a check failed, see above") << r.err;
}

TEST(Tinylm, LastLine) {
  for (const char *options :
       {"--bytes 600 --generate 8", "--bytes 600 --generate 8 --dtype bf16",
        "--bytes 600 --generate 0 --dense", "--bytes 600 --generate 2 --topk 64",
        "--bytes 600 --generate 2 --topk 100000", "--bytes 1 --generate 1",
        "--bytes 600 --generate 2 --route auto --topk 100000",
        "--bytes 300 --generate 2 --threads 1 --prompt 'def x' --long-to 3000"}) {
    SCOPED_TRACE(options);
    const Result r = run(options);
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_TRUE(is_last_line(last_line(r.out))) << last_line(r.out);
  }
}

// One call or two: the same kernels on the same numbers.
TEST(Tinylm, RoutesGiveTheSameLoss) {
  for (const char *dtype : {"f32", "bf16"}) {
    const std::string options = std::string("--bytes 600 --generate 40 --dtype ") + dtype;
    const Result two_steps = run(options);
    EXPECT_EQ(two_steps.code, 0) << two_steps.err;
    for (const char *route : {"cpu", "auto"}) {
      SCOPED_TRACE(route);
      const Result r = run(options + " --route " + route);
      EXPECT_EQ(r.code, 0) << r.err;
      EXPECT_NE(r.out.find("forward.cpu"), std::string::npos) << r.out;
      EXPECT_EQ(last_line(r.out), last_line(two_steps.out));
      const auto differences = [](const std::string &out) {
        const size_t begin = out.find("|loss - reference|");
        return out.substr(begin, out.find('\n', begin) - begin);
      };
      EXPECT_EQ(differences(r.out), differences(two_steps.out));
    }
  }
}

TEST(Tinylm, EqualToGreedyText) {
  const Result r = run("--bytes 64 --generate 200");
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.out.find("equal to greedy.txt"), std::string::npos) << r.out;
  EXPECT_NE(r.out.find(read(data() / "greedy.txt")), std::string::npos);
}

TEST(Tinylm, OwnText) {
  const Scratch scratch;
  const std::string text = "import os\n\ndef main():\n    print(os.getcwd())\n";
  write(scratch.path() / "own.py", text);
  const Result r =
      run("--bytes 300 --generate 2 --text '" + (scratch.path() / "own.py").string() + "'");
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.out.find("Loss on " + std::to_string(text.size() - 1) + " bytes of own.py"),
            std::string::npos)
      << r.out;
  EXPECT_EQ(last_line(r.out).rfind("held-out loss: ", 0), 0u);
}

TEST(Tinylm, BadOptions) {
  expect_bad_input("--dtype f64", "--dtype");
  expect_bad_input("--bytes 0", "--bytes");
  expect_bad_input("--bytes x", "--bytes");
  expect_bad_input("--topk 0", "--topk");
  expect_bad_input("--topk 99999999999", "--topk");
  expect_bad_input("--threads -1", "--threads");
  expect_bad_input("--prompt ''", "--prompt is empty");
  if (!fs::exists("/dev/nvidiactl")) expect_bad_input("--device cuda", "--device cuda: ");
  expect_bad_input("--device tpu", "--device tpu: ");
  expect_bad_input("--route scenic", "--route scenic: not a route (auto, gpu, cpu, hybrid, ");
  expect_bad_input("--route hybrid", "--route hybrid needs --device cuda");
  expect_bad_input("--route gpu", "--route gpu needs --device cuda");
  expect_bad_input("--no-such-option", "--no-such-option");
  expect_bad_input("--text /nonexistent", "cannot read /nonexistent");
  expect_bad_input("--text /", "cannot read /");
}

TEST(Tinylm, Help) {
  const Result r = run("--help");
  EXPECT_EQ(r.code, 0);
  for (const char *option :
       {"--text", "--prompt", "--topk", "--dtype", "--dense", "--long", "--bytes", "--generate",
        "--model", "--threads", "--device", "--route"}) {
    EXPECT_NE(r.out.find(option), std::string::npos) << option;
  }
}

}  // namespace
