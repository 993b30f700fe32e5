#include "hybrid/staging.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>

#include "core/tensor.h"
#include "core/workspace.h"

namespace dsa {
namespace {

constexpr int32_t kMaxDims = 5;
// Stands for memory that is not there yet, as aligned as it will be; nothing is read through it.
alignas(kWorkspaceAlignment) char unplaced[kWorkspaceAlignment];

constexpr uint64_t round_up(uint64_t bytes) {
  return (bytes + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment;
}

bool is_empty(const dsa_tensor& t) {
  return std::any_of(t.shape, t.shape + t.ndim, [](int64_t extent) { return extent == 0; });
}

// The axes that step through memory, the longest step first.
struct Axes {
  std::array<int32_t, kMaxDims> axis;
  int32_t count = 0;
};
Axes stepping_axes(const dsa_tensor& t) {
  Axes axes;
  for (int32_t i = 0; i < t.ndim; ++i) {
    if (t.shape[i] > 1 && t.stride[i] != 0) axes.axis[static_cast<size_t>(axes.count++)] = i;
  }
  std::stable_sort(axes.axis.begin(), axes.axis.begin() + axes.count, [&t](int32_t a, int32_t b) {
    return std::abs(t.stride[a]) > std::abs(t.stride[b]);
  });
  return axes;
}

// The lowest address of a tensor's elements.
char* lowest(const dsa_tensor& t) {
  int64_t offset = 0;
  for (int32_t i = 0; i < t.ndim; ++i) {
    if (t.stride[i] < 0) offset += t.stride[i] * (t.shape[i] - 1);
  }
  return static_cast<char*>(t.data) + offset * element_bytes(t.dtype);
}

// Every piece that is contiguous in both, rows of such pieces at once.
void copy_elements(const dsa_tensor& from, const dsa_tensor& to, const CopyRows& copy) {
  if (is_empty(from)) return;
  const int64_t bytes = element_bytes(from.dtype);
  const Axes axes = stepping_axes(to);
  const auto step = [bytes](const dsa_tensor& t, int32_t axis) {
    return std::abs(t.stride[axis]) * bytes;
  };
  int32_t outer = axes.count;
  int64_t width = bytes;
  while (outer > 0) {
    const int32_t axis = axes.axis[static_cast<size_t>(outer - 1)];
    if (step(from, axis) != width || step(to, axis) != width) break;
    width *= from.shape[axis];
    --outer;
  }
  int64_t rows = 1, from_step = width, to_step = width;
  if (outer > 0) {
    const int32_t axis = axes.axis[static_cast<size_t>(--outer)];
    rows = from.shape[axis];
    from_step = step(from, axis);
    to_step = step(to, axis);
  }
  std::array<int64_t, kMaxDims> place = {};
  for (;;) {
    int64_t from_offset = 0, to_offset = 0;
    for (int32_t i = 0; i < outer; ++i) {
      const int32_t axis = axes.axis[static_cast<size_t>(i)];
      from_offset += place[static_cast<size_t>(i)] * step(from, axis);
      to_offset += place[static_cast<size_t>(i)] * step(to, axis);
    }
    copy(lowest(to) + to_offset, to_step, lowest(from) + from_offset, from_step, width, rows);
    int32_t i = outer - 1;
    while (i >= 0 &&
           ++place[static_cast<size_t>(i)] == from.shape[axes.axis[static_cast<size_t>(i)]]) {
      place[static_cast<size_t>(i--)] = 0;
    }
    if (i < 0) return;
  }
}

// The tensors of a descriptor stand together at its end, outputs last.
template <class Desc>
auto* tensors_of(Desc& desc) {
  return &desc.q;
}
template <class Desc>
constexpr size_t kTensors = (sizeof(Desc) - offsetof(Desc, q)) / sizeof(dsa_tensor);

template <class Desc, class Staged, class F>
void each_tensor(const Desc& given, Staged& staged, size_t first_output, F&& f) {
  static_assert(offsetof(Desc, q) + kTensors<Desc> * sizeof(dsa_tensor) == sizeof(Desc));
  const dsa_tensor* from = tensors_of(given);
  auto* to = tensors_of(staged);
  for (size_t i = 0; i < kTensors<Desc>; ++i) {
    if (from[i].ndim != 0) f(from[i], to[i], i >= first_output);
  }
}

constexpr size_t place_of(size_t offset, size_t first) {
  return (offset - first) / sizeof(dsa_tensor);
}
constexpr size_t kSelectOutputs =
    place_of(offsetof(dsa_indexer_topk_desc, indices), offsetof(dsa_indexer_topk_desc, q));
constexpr size_t kAttendOutputs =
    place_of(offsetof(dsa_sparse_attn_desc, out), offsetof(dsa_sparse_attn_desc, q));

}  // namespace

Twin make_twin(const dsa_tensor& tensor, char* data) {
  Twin twin{tensor, 0};
  const int64_t bytes = element_bytes(tensor.dtype);
  const Axes axes = stepping_axes(tensor);
  int64_t step = 1, below = 0;
  for (int32_t i = 0; i < tensor.ndim; ++i) twin.tensor.stride[i] = 0;
  for (int32_t i = axes.count - 1; i >= 0; --i) {
    const int32_t axis = axes.axis[static_cast<size_t>(i)];
    twin.tensor.stride[axis] = tensor.stride[axis] < 0 ? -step : step;
    if (tensor.stride[axis] < 0) below += step * (tensor.shape[axis] - 1);
    step *= tensor.shape[axis];
  }
  // An axis of one element steps nowhere, but kernels look at its stride.
  int64_t dense = 1;
  for (int32_t i = tensor.ndim - 1; i >= 0; --i) {
    if (tensor.shape[i] == 1) twin.tensor.stride[i] = dense;
    dense *= tensor.shape[i];
  }
  twin.bytes = is_empty(tensor) ? 0 : static_cast<uint64_t>(step * bytes);
  twin.tensor.data = data ? data + below * bytes : nullptr;
  return twin;
}

void copy_to_twin(const dsa_tensor& tensor, const dsa_tensor& twin, const CopyRows& copy) {
  copy_elements(tensor, twin, copy);
}

void copy_from_twin(const dsa_tensor& twin, const dsa_tensor& tensor, const CopyRows& copy) {
  copy_elements(twin, tensor, copy);
}

template <class Self, class F>
void StagedForward::each(Self& self, F&& f) {
  each_tensor(self.given_select_, self.select_, kSelectOutputs, f);
  each_tensor(self.given_attend_, self.attend_, kAttendOutputs, f);
}

StagedForward::StagedForward(const dsa_forward_desc& desc, int32_t device, int32_t device_id)
    : given_select_(*desc.select),
      select_(given_select_),
      given_attend_(*desc.attend),
      attend_(given_attend_),
      forward_(desc) {
  forward_.select = &select_;
  forward_.attend = &attend_;
  each(*this, [&](const dsa_tensor& tensor, dsa_tensor& twin, bool is_output) {
    twin.device = device;
    twin.device_id = device_id;
    const uint64_t bytes = round_up(make_twin(tensor, nullptr).bytes);
    bytes_ += bytes;
    if (!is_output) input_bytes_ += bytes;
    ++tensors_;
  });
  place(unplaced);
}

void StagedForward::place(char* memory) {
  each(*this, [&](const dsa_tensor& tensor, dsa_tensor& twin, bool) {
    const Twin made = make_twin(tensor, memory);
    std::copy(made.tensor.stride, made.tensor.stride + kMaxDims, twin.stride);
    twin.data = made.tensor.data;
    memory += round_up(made.bytes);
  });
}

void StagedForward::copy_in(const CopyRows& copy) const {
  each(*this, [&](const dsa_tensor& tensor, const dsa_tensor& twin, bool is_output) {
    if (!is_output) copy_to_twin(tensor, twin, copy);
  });
}

void StagedForward::copy_out(const CopyRows& copy) const {
  each(*this, [&](const dsa_tensor& tensor, const dsa_tensor& twin, bool is_output) {
    if (is_output) copy_from_twin(twin, tensor, copy);
  });
}

}  // namespace dsa
