// A dsa_ctx with the environment variables that a run asks for, and what it says about itself.
#pragma once

#include <dsa.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/device.h"

namespace bench {

// A call that the library refuses because no kernel of the context does it.
struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws Unsupported, or std::runtime_error for every other status but DSA_OK.
void check(dsa_status status);

struct ContextSpec {
  int32_t threads = 0;  // 0: the library's choice
  std::string kernel;   // DSA_KERNEL, "" leaves the environment as it is
  std::string isa;      // DSA_CPU_ISA, likewise
  bool cuda = false;    // the operations of a CUDA device instead of the CPU's
  int32_t device_id = 0;
  std::string log;  // DSA_LOG: topics whose lines are kept for take_messages
  auto operator<=>(const ContextSpec&) const = default;
};

class Context {
 public:
  explicit Context(const ContextSpec& spec);

  const ContextSpec& spec() const { return spec_; }
  dsa_ctx* get() const { return ctx_.get(); }
  const nlohmann::ordered_json& about() const { return about_; }
  nlohmann::ordered_json describe() const;  // what the library says of itself now
  int32_t threads() const { return threads_; }
  const std::vector<int>& cores() const { return cores_; }
  const std::string& isa_found() const { return isa_found_; }
  Device* device() const { return device_.get(); }  // NULL: the CPU
  int32_t device_id() const { return spec_.device_id; }
  // What was logged since the last call of this.
  std::vector<std::string> take_messages() const;

  // The kernel that the descriptor gets: "cpu.topk.avx512". Throws as check.
  std::string kernel_for(const void* desc) const;
  uint64_t workspace_size(const void* desc) const;

 private:
  struct Deleter {
    void operator()(dsa_ctx* ctx) const { dsa_ctx_destroy(ctx); }
  };
  static void keep_message(void* user, int32_t level, const char* message);

  ContextSpec spec_;
  mutable std::mutex messages_mutex_;
  mutable std::vector<std::string> messages_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<dsa_ctx, Deleter> ctx_;
  nlohmann::ordered_json about_;
  int32_t threads_ = 1;
  std::vector<int> cores_;
  std::string isa_found_;
};

}  // namespace bench
