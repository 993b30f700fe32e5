#include "hybrid/tune_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "cpu/isa.h"

namespace dsa {
namespace {

constexpr size_t kMostBytes = 64 << 10;  // a file has 3 KiB

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return descriptor_; }
  bool is_open() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

uint64_t fnv1a(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

[[noreturn]] void fail_to_write(const std::string& path, int error) {
  fail(DSA_ERROR_INVALID, "tune: cannot write %s: %s", path.c_str(), std::strerror(error));
}

bool write_all(int descriptor, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = write(descriptor, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

// The folders above a file; an error shows when the file is made.
void make_folders(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    mkdir(path.substr(0, slash).c_str(), 0700);
  }
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// A file beside its place, which takes that place once it is whole.
class TemporaryFile {
 public:
  explicit TemporaryFile(const TunePath& where) : place_(where.path) {
    if (place_.empty()) {
      fail(DSA_ERROR_INVALID,
           "tune: there is neither XDG_CACHE_HOME nor HOME; give tune_options.path");
    }
    if (where.is_default) make_folders(place_);
    struct stat info;
    if (stat(place_.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) fail_to_write(place_, EISDIR);
    name_ = place_ + ".XXXXXX";
    descriptor_ = mkostemp(name_.data(), O_CLOEXEC);
    if (descriptor_ < 0) fail_to_write(place_, errno);
  }
  ~TemporaryFile() {
    if (descriptor_ >= 0) discard();
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void put(const std::string& text) {
    // mkostemp makes 0600; other users' processes may read it.
    if (!write_all(descriptor_, text) || fchmod(descriptor_, 0644) != 0 ||
        fsync(descriptor_) != 0 || rename(name_.c_str(), place_.c_str()) != 0) {
      const int error = errno;
      discard();
      fail_to_write(place_, error);
    }
    close(descriptor_);
    descriptor_ = -1;
  }
  void discard() {
    close(descriptor_);
    descriptor_ = -1;
    unlink(name_.c_str());
  }

 private:
  std::string place_, name_;
  int descriptor_ = -1;
};

}  // namespace

std::string machine_line(CpuTier tier, const DeviceInfo* device) {
  std::string line = cpu::detect_isa().brand;
  line += std::string(", ") + cpu::tier_name(tier) + ", " +
          std::to_string(sysconf(_SC_NPROCESSORS_CONF)) + " CPUs";
  if (device) {
    line += std::string(", ") + device->name + " (" + std::to_string(device->compute_capability) +
            ", " + std::to_string(device->multiprocessors) + " multiprocessors)";
  }
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return line;
}

TunePath find_tune_path(const char* option, const std::string& from_environment,
                        const std::string& machine) {
  if (option && *option) return {option, false};
  if (!from_environment.empty()) return {from_environment, false};
  std::string folder = environment("XDG_CACHE_HOME");
  // The base directory specification: a relative path there is to be ignored.
  if (folder.empty() || folder[0] != '/') {
    folder = environment("HOME");
    if (folder.empty()) return {};
    folder += "/.cache";
  }
  char name[40];
  std::snprintf(name, sizeof name, "/libdsa/tune-%016llx.txt",
                static_cast<unsigned long long>(fnv1a(machine)));
  return {folder + name, true};
}

std::string load_tune(const std::string& path, const std::string& machine, Tune& tune) {
  if (path.empty()) return "there is neither XDG_CACHE_HOME nor HOME";
  // Not blocking: somebody's pipe of that name has nothing to say.
  const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open()) return std::strerror(errno);
  struct stat info;
  if (fstat(file.get(), &info) != 0) return std::strerror(errno);
  if (!S_ISREG(info.st_mode)) return "it is no regular file";
  std::string text(kMostBytes + 1, '\0');
  size_t size = 0;
  for (;;) {
    const ssize_t n = read(file.get(), text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::strerror(errno);
    if (n == 0) break;
    size += static_cast<size_t>(n);
    if (size > kMostBytes) return "it has more than 65536 bytes";
  }
  text.resize(size);
  return parse_tune(text, machine, tune);
}

void check_writable(const TunePath& where) { TemporaryFile(where).discard(); }

void save_tune(const TunePath& where, const std::string& machine, const Tune& tune) {
  TemporaryFile(where).put(write_tune(tune, machine));
}

}  // namespace dsa
