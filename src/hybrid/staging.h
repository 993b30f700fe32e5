// Tensors on the other side: a forward call whose tensors lie in host memory runs on the GPU, and
// one whose tensors lie on the GPU on the CPU, by dense copies of what it reads and writes.
#pragma once

#include <cstdint>
#include <functional>

#include "dsa.h"

namespace dsa {

// Copies `rows` pieces of `width` bytes; steps in bytes.
using CopyRows = std::function<void(char* to, int64_t to_step, const char* from, int64_t from_step,
                                    int64_t width, int64_t rows)>;

// A dense tensor with the elements of `tensor`: its axes in the order of their steps through
// memory, an axis that repeats one element still doing so. `bytes` is what it takes from `data` on.
struct Twin {
  dsa_tensor tensor;
  uint64_t bytes;
};
Twin make_twin(const dsa_tensor& tensor, char* data);

// Copies all elements of a tensor to its twin, or back.
void copy_to_twin(const dsa_tensor& tensor, const dsa_tensor& twin, const CopyRows& copy);
void copy_from_twin(const dsa_tensor& twin, const dsa_tensor& tensor, const CopyRows& copy);

// Both steps of a forward call with twins for tensors.
class StagedForward {
 public:
  // `device`: where the twins are (DSA_DEVICE_...).
  StagedForward(const dsa_forward_desc& desc, int32_t device, int32_t device_id);
  StagedForward(const StagedForward&) = delete;
  StagedForward& operator=(const StagedForward&) = delete;

  // Bytes of memory for all twins, and those of them that move before and after the call.
  uint64_t bytes() const { return bytes_; }
  uint64_t input_bytes() const { return input_bytes_; }
  uint64_t output_bytes() const { return bytes_ - input_bytes_; }
  int32_t tensors() const { return tensors_; }

  // The call on the twins. Before `place` they are nowhere: for questions that read no tensor.
  const dsa_forward_desc& desc() const { return forward_; }
  void place(char* memory);
  void copy_in(const CopyRows& copy) const;
  void copy_out(const CopyRows& copy) const;

 private:
  // f(original, twin, is_output) for every tensor that is given.
  template <class Self, class F>
  static void each(Self& self, F&& f);

  dsa_indexer_topk_desc given_select_, select_;
  dsa_sparse_attn_desc given_attend_, attend_;
  dsa_forward_desc forward_;
  uint64_t bytes_ = 0, input_bytes_ = 0;
  int32_t tensors_ = 0;
};

}  // namespace dsa
