#include "context.h"

#include <fmt/format.h>

#include <cstdlib>
#include <optional>
#include <utility>

namespace bench {
namespace {

// Sets an environment variable for a while.
class Setting {
 public:
  Setting(const char* name, const std::string& value) : name_(value.empty() ? nullptr : name) {
    if (!name_) return;
    if (const char* old = std::getenv(name)) before_ = old;
    setenv(name, value.c_str(), 1);
  }
  ~Setting() {
    if (!name_) return;
    if (before_) {
      setenv(name_, before_->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

}  // namespace

void check(dsa_status status) {
  if (status == DSA_OK) return;
  const std::string text = fmt::format("{}: {}", dsa_status_name(status), dsa_last_error());
  if (status == DSA_ERROR_UNSUPPORTED) throw Unsupported(text);
  throw std::runtime_error(text);
}

Context::Context(const ContextSpec& spec) : spec_(spec) {
  const Setting kernel("DSA_KERNEL", spec.kernel);
  const Setting isa("DSA_CPU_ISA", spec.isa);
  const Setting log("DSA_LOG", spec.log);
  dsa_ctx_options options = {};
  options.struct_size = sizeof options;
  options.num_threads = spec.threads;
  if (!spec.log.empty()) {
    options.log = keep_message;
    options.log_user = this;
  }
  if (spec.cuda) {
    options.device = DSA_DEVICE_CUDA;
    options.device_id = spec.device_id;
  }
  dsa_ctx* raw = nullptr;
  check(dsa_ctx_create(&options, &raw));
  ctx_.reset(raw);
  if (spec.cuda) device_ = open_device(spec.device_id);

  about_ = describe();
  threads_ = about_.value("threads", 1);
  cores_ = about_.value("cores", std::vector<int>());
  isa_found_ = about_.value("isa_found", "scalar");
}

nlohmann::ordered_json Context::describe() const {
  uint64_t bytes = 0;
  check(dsa_ctx_describe(get(), nullptr, 0, &bytes));
  std::vector<char> text(bytes);
  check(dsa_ctx_describe(get(), text.data(), bytes, nullptr));
  return nlohmann::ordered_json::parse(text.data());
}

void Context::keep_message(void* user, int32_t, const char* message) {
  Context& context = *static_cast<Context*>(user);
  const std::lock_guard lock(context.messages_mutex_);
  context.messages_.push_back(message);
}

std::vector<std::string> Context::take_messages() const {
  const std::lock_guard lock(messages_mutex_);
  return std::exchange(messages_, {});
}

std::string Context::kernel_for(const void* desc) const {
  dsa_plan* plan = nullptr;
  check(dsa_plan_create(get(), desc, &plan));
  const std::string name = dsa_plan_kernel(plan);
  dsa_plan_destroy(plan);
  return name;
}

uint64_t Context::workspace_size(const void* desc) const {
  uint64_t bytes = 0;
  check(dsa_workspace_size(get(), desc, &bytes));
  return bytes;
}

}  // namespace bench
