// Checks that every descriptor shares: presence, size, kind, flags, reserved fields.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "core/error.h"
#include "core/tensor.h"

namespace dsa {

// Accepts the struct as of this header, or a larger one whose unknown tail is zero. `least_size`:
// of the first version of a struct that has grown since (0: it has not).
void check_struct_size(const char* name, const void* object, uint32_t struct_size,
                       uint32_t known_size, uint32_t least_size = 0);

void check_kind(const char* op, uint32_t kind, int32_t expected);
void check_flags(const char* op, uint64_t flags, uint64_t allowed);

// A reserved field that is set: DSA_ERROR_UNSUPPORTED.
void reject_reserved(const char* op, const char* field, int64_t value);
void reject_reserved(const char* op, const char* field, const dsa_tensor& tensor);

struct NamedTensor {
  const char* field;
  const dsa_tensor* tensor;
};

// Outputs that share their first byte with another output or an input.
void check_distinct(const char* op, std::initializer_list<NamedTensor> outputs,
                    std::initializer_list<NamedTensor> inputs);

template <class Desc>
void check_descriptor(const char* op, const Desc* desc, int32_t kind) {
  if (!desc) fail(DSA_ERROR_INVALID, "%s: the descriptor is NULL", op);
  check_struct_size(op, desc, desc->struct_size, sizeof(Desc));
  check_kind(op, desc->kind, kind);
}

}  // namespace dsa
