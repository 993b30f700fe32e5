#pragma once
// A struct of dsa.h that keeps alive what its fields point to.

#include <dsa.h>

#include <array>
#include <cstring>
#include <memory>
#include <optional>

#include "tensor.h"

namespace dsa_swig {

template <class Struct>
struct Held : Struct {
  explicit Held(const Struct &initial) : Struct(initial) {}

  // A field of type dsa_tensor; NULL: not given.
  void set(dsa_tensor &field, const dsa_tensor *value) {
    const auto *tensor = static_cast<const Tensor *>(value);
    owner(field) = tensor ? tensor->open().memory : nullptr;
    if (tensor) {
      field = *tensor;
    } else {
      std::memset(&field, 0, sizeof field);
    }
  }

  // A tensor of its own with what the field says, or NULL.
  Tensor *get(const dsa_tensor &field) {
    if (field.ndim == 0) return nullptr;
    return new Tensor(field, owner(field));
  }

 private:
  // Fields never overlap: each has a multiple of 128 bytes of its own in front of it.
  std::shared_ptr<Memory> &owner(const dsa_tensor &field) {
    const auto offset =
        reinterpret_cast<const char *>(&field) - reinterpret_cast<const char *>(this);
    return owners_[static_cast<size_t>(offset) / sizeof(dsa_tensor)];
  }

  std::array<std::shared_ptr<Memory>, sizeof(Struct) / sizeof(dsa_tensor) + 1> owners_;
};

template <class Struct>
Held<Struct> *held(Struct *self) {
  return static_cast<Held<Struct> *>(self);
}

// dsa_forward_desc refers to two others: it keeps copies, as they were when they were set.
template <>
struct Held<dsa_forward_desc> : dsa_forward_desc {
  explicit Held(const dsa_forward_desc &initial) : dsa_forward_desc(initial) {}

  void set(const dsa_indexer_topk_desc *given) { select = keep(selects, given); }
  void set(const dsa_sparse_attn_desc *given) { attend = keep(attends, given); }

 private:
  template <class Desc>
  static const Desc *keep(std::optional<Held<Desc>> &kept, const Desc *given) {
    kept.reset();
    if (given) kept.emplace(static_cast<const Held<Desc> &>(*given));
    return kept ? &*kept : nullptr;
  }

  std::optional<Held<dsa_indexer_topk_desc>> selects;
  std::optional<Held<dsa_sparse_attn_desc>> attends;
};

}  // namespace dsa_swig
