#pragma once
// Owned contexts, plans and what goes with one call.

#include <dsa.h>

#include <atomic>
#include <memory>
#include <string>

#include "error.h"
#include "tensor.h"

namespace dsa_swig {

// The fields of dsa_ctx_options that are not callbacks.
struct Options {
  uint32_t flags = 0;
  int32_t device = 0;
  int32_t device_id = 0;
  int32_t num_threads = 0;
  int32_t numa_node = 0;
  std::string module_path;
};

class Plan;
class Exec;

// Any number of threads may use one, and close it: calls that run keep the context alive.
class Context {
 public:
  Context() : Context(Options{}) {}

  explicit Context(const Options &options) {
    dsa_ctx_options o = {};
    o.struct_size = sizeof o;
    o.flags = options.flags;
    o.device = options.device;
    o.device_id = options.device_id;
    o.num_threads = options.num_threads;
    o.numa_node = options.numa_node;
    if (!options.module_path.empty()) o.module_path = options.module_path.c_str();
    dsa_ctx *made = nullptr;
    check(dsa_ctx_create(&o, &made));
    ctx_ = std::shared_ptr<dsa_ctx>(made, dsa_ctx_destroy);
  }

  void close() { ctx_.store(nullptr); }

  std::shared_ptr<dsa_ctx> open() const {
    std::shared_ptr<dsa_ctx> ctx = ctx_.load();
    if (!ctx) fail("the context is closed");
    return ctx;
  }

  std::string describe() const {
    const std::shared_ptr<dsa_ctx> ctx = open();
    uint64_t bytes = 0;
    check(dsa_ctx_describe(ctx.get(), nullptr, 0, &bytes));
    std::string text(bytes, '\0');
    check(dsa_ctx_describe(ctx.get(), text.data(), bytes, nullptr));
    text.resize(std::strlen(text.c_str()));
    return text;
  }

  int32_t kernel_count() const {
    const std::shared_ptr<dsa_ctx> ctx = open();
    dsa_kernel_info info = {};
    info.struct_size = sizeof info;
    int32_t count = 0;
    while (dsa_kernel_get(ctx.get(), count, &info) == DSA_OK) ++count;
    return count;
  }

  dsa_kernel_info *kernel(int32_t i) const {
    auto info = std::make_unique<dsa_kernel_info>();
    info->struct_size = sizeof *info;
    check(dsa_kernel_get(open().get(), i, info.get()));
    return info.release();
  }

  template <class Desc>
  void run(dsa_status (*operation)(dsa_ctx *, const Desc *, const dsa_exec *), const Desc *desc,
           const Exec *exec) const;

  void check_support(const void *desc) const { check(dsa_supports(open().get(), desc)); }

  int64_t workspace_size(const void *desc) const {
    uint64_t bytes = 0;
    check(dsa_workspace_size(open().get(), desc, &bytes));
    return static_cast<int64_t>(bytes);
  }

  Plan *plan(const void *desc) const;

 private:
  std::atomic<std::shared_ptr<dsa_ctx>> ctx_;
};

class Plan {
 public:
  Plan(std::shared_ptr<dsa_ctx> ctx, const void *desc) {
    dsa_plan *made = nullptr;
    check(dsa_plan_create(ctx.get(), desc, &made));
    // The plan refers to the context: it goes first.
    plan_ = std::shared_ptr<dsa_plan>(made, [ctx](dsa_plan *plan) { dsa_plan_destroy(plan); });
  }

  const char *kernel() const { return dsa_plan_kernel(plan_.get()); }
  const char *refused(int32_t i) const { return dsa_plan_refused(plan_.get(), i); }

 private:
  friend class Exec;
  std::shared_ptr<dsa_plan> plan_;
};

inline Plan *Context::plan(const void *desc) const { return new Plan(open(), desc); }

class Exec {
 public:
  Exec() { exec_.struct_size = sizeof exec_; }

  void set_stream(int64_t address) { exec_.stream = reinterpret_cast<void *>(address); }

  // One call at a time may use it. NULL: the context lends one.
  void set_workspace(const dsa_tensor *workspace) {
    const auto *tensor = static_cast<const Tensor *>(workspace);
    if (tensor) tensor->open().check_dense();
    memory_ = tensor ? tensor->memory : nullptr;
    exec_.workspace = tensor ? tensor->data : nullptr;
    exec_.workspace_size =
        tensor ? static_cast<uint64_t>(tensor->elements() * element_bytes(tensor->dtype)) : 0;
  }

  void set_plan(const Plan *plan) {
    plan_ = plan ? plan->plan_ : nullptr;
    exec_.plan = plan_.get();
  }

  const dsa_exec *get() const { return &exec_; }

 private:
  dsa_exec exec_ = {};
  std::shared_ptr<Memory> memory_;
  std::shared_ptr<dsa_plan> plan_;
};

template <class Desc>
void Context::run(dsa_status (*operation)(dsa_ctx *, const Desc *, const dsa_exec *),
                  const Desc *desc, const Exec *exec) const {
  check(operation(open().get(), desc, exec ? exec->get() : nullptr));
}

}  // namespace dsa_swig
