// One call of an operation on the device that the benchmark is for: descriptors are made of host
// memory, and on a GPU the call runs on a copy of it.
#pragma once

#include <dsa.h>

#include <functional>
#include <string>
#include <vector>

#include "cases.h"
#include "cuda/device.h"

namespace bench {

// The tensors of a descriptor: the last fields of each, from the one named here on.
inline dsa_tensor* first_tensor(dsa_topk_desc& d) { return &d.scores; }
inline dsa_tensor* first_tensor(dsa_indexer_desc& d) { return &d.q; }
inline dsa_tensor* first_tensor(dsa_indexer_topk_desc& d) { return &d.q; }
inline dsa_tensor* first_tensor(dsa_sparse_attn_desc& d) { return &d.q; }

inline std::vector<dsa_tensor*> outputs_of(dsa_indexer_desc& d) { return {&d.scores}; }
inline std::vector<dsa_tensor*> outputs_of(dsa_sparse_attn_desc& d) {
  return {&d.out, &d.lse, &d.max};
}
template <class Desc>
std::vector<dsa_tensor*> outputs_of(Desc& d) {
  return {&d.indices, &d.slots, &d.values, &d.counts, &d.cut_score, &d.cut_index};
}

inline dsa_status run_operation(dsa_ctx* ctx, const dsa_topk_desc& d, const dsa_exec* exec) {
  return dsa_topk(ctx, &d, exec);
}
inline dsa_status run_operation(dsa_ctx* ctx, const dsa_indexer_desc& d, const dsa_exec* exec) {
  return dsa_indexer(ctx, &d, exec);
}
inline dsa_status run_operation(dsa_ctx* ctx, const dsa_indexer_topk_desc& d,
                                const dsa_exec* exec) {
  return dsa_indexer_topk(ctx, &d, exec);
}
inline dsa_status run_operation(dsa_ctx* ctx, const dsa_sparse_attn_desc& d, const dsa_exec* exec) {
  return dsa_sparse_attn(ctx, &d, exec);
}

// Times what `call` enqueues, or does.
template <class F>
Timing time_calls(const Setup& setup, const F& call) {
  const Settings& s = setup.settings;
  if (Device* device = setup.context.device()) {
    return device->time(setup.device_mode, s.device_timing, call);
  }
  return measure(s.timing, call);
}

template <class Desc>
class Call {
 public:
  // `host` has dense tensors in host memory, but for those that are another call's.
  Call(const Setup& setup, const Desc& host) : setup_(setup), host_(host), desc_(host) {
    if (Device* device = setup.context.device()) move_to(*device);
    kernel_ = setup.context.kernel_for(&desc_);
    workspace_bytes_ = setup.context.workspace_size(&desc_);
    exec_.struct_size = sizeof exec_;
    if (Device* device = setup.context.device()) {
      exec_.stream = device->stream();
      memory_.emplace_back(*device, int64_t(workspace_bytes_));
      exec_.workspace = memory_.back().data();
    } else if (setup.settings.own_workspace) {
      workspace_ = Array(DSA_U8, {int64_t(workspace_bytes_)});
      exec_.workspace = workspace_.data<char>();
    }
    if (exec_.workspace) exec_.workspace_size = workspace_bytes_;
  }

  const std::string& kernel() const { return kernel_; }
  uint64_t workspace_bytes() const { return workspace_bytes_; }

  // On the device of the call; the tensors live as long as it does.
  const Desc& desc() const { return desc_; }

  void operator()() const { check(run_operation(setup_.context.get(), desc_, &exec_)); }

  Timing time() const {
    return time_calls(setup_, [this] { (*this)(); });
  }

  // Brings the outputs into the host's memory.
  void fetch() {
    Device* device = setup_.context.device();
    if (!device) return;
    const auto from = outputs_of(desc_), to = outputs_of(host_);
    for (size_t i = 0; i < to.size(); ++i) {
      if (to[i]->data) device->download(to[i]->data, from[i]->data, bytes_of(*to[i]));
    }
  }

 private:
  static int64_t bytes_of(const dsa_tensor& t) {
    int64_t bytes = dtype_bytes(t.dtype);
    for (int32_t i = 0; i < t.ndim; ++i) bytes *= t.shape[i];
    return bytes;
  }

  void move_to(Device& device) {
    dsa_tensor* first = first_tensor(desc_);
    const size_t tensors =
        size_t(reinterpret_cast<char*>(&desc_ + 1) - reinterpret_cast<char*>(first)) /
        sizeof(dsa_tensor);
    const auto outputs = outputs_of(desc_);
    for (dsa_tensor* t = first; t < first + tensors; ++t) {
      if (t->ndim == 0 || t->device == DSA_DEVICE_CUDA) continue;  // another call's output
      const int64_t bytes = bytes_of(*t);
      memory_.emplace_back(device, bytes);
      const bool is_output = std::find(outputs.begin(), outputs.end(), t) != outputs.end();
      if (!is_output) device.upload(memory_.back().data(), t->data, bytes);
      t->data = memory_.back().data();
      t->device = DSA_DEVICE_CUDA;
      t->device_id = setup_.context.device_id();
    }
  }

  Setup setup_;
  Desc host_, desc_;
  std::vector<DeviceMemory> memory_;
  Array workspace_;
  dsa_exec exec_ = {};
  std::string kernel_;
  uint64_t workspace_bytes_ = 0;
};

}  // namespace bench
