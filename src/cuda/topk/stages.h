// What stands before and behind a dense form where a call asks for more: scores under a mask or not
// contiguous are copied first, a selection in order of score is sorted last. In batches of rows
// that the workspace has room for.
#pragma once

#include "cuda/topk/form.h"

namespace dsa::cuda::topk {

class Stages {
 public:
  explicit Stages(const TopkCall& call);  // which lives as long

  // Whether there is anything beside the form.
  bool any() const { return copies_ || sorts_; }
  // Why no form but kBlock can take the call; nullptr else.
  const char* refuse() const;
  // What a form has to take: a batch of rows.
  TopkCall form_call() const { return form_call(call_, nullptr); }
  uint64_t workspace() const { return copy_bytes_ + list_bytes_; }
  // The form's own workspace lies behind that.
  cudaError_t launch(const Form& form, const Run& run) const;

 private:
  TopkCall copied(const TopkCall& batch, char* memory) const;
  TopkCall form_call(const TopkCall& batch, char* memory) const;
  cudaError_t launch_batch(const Form& form, const TopkCall& batch, const Run& run) const;

  const TopkCall& call_;
  bool copies_;
  bool sorts_;
  bool in_place_;     // the list to be sorted is the indices output
  int64_t copy_row_;  // bytes
  int64_t list_row_;  // bytes
  uint64_t copy_bytes_ = 0, list_bytes_ = 0;
  int64_t batch_rows_;
};

cudaError_t load_stages();

}  // namespace dsa::cuda::topk
