#include "api/descriptor.h"

#include <cinttypes>

#include "core/error.h"

namespace dsa {
namespace {

// No descriptor will ever be this large: a wild struct_size is not followed.
constexpr uint32_t kLargestStruct = 1u << 16;

bool is_empty(const dsa_tensor& t) {
  for (int32_t i = 0; i < t.ndim; ++i) {
    if (t.shape[i] == 0) return true;
  }
  return t.ndim == 0 || t.data == nullptr;
}

}  // namespace

void check_struct_size(const char* name, const void* object, uint32_t struct_size,
                       uint32_t known_size, uint32_t least_size) {
  if (struct_size < (least_size ? least_size : known_size) || struct_size > kLargestStruct) {
    fail(DSA_ERROR_STRUCT_SIZE, "%s.struct_size is %u, this library's is %u", name, struct_size,
         known_size);
  }
  const unsigned char* bytes = static_cast<const unsigned char*>(object);
  for (uint32_t i = known_size; i < struct_size; ++i) {
    if (bytes[i] != 0) {
      fail(DSA_ERROR_STRUCT_SIZE,
           "%s.struct_size is %u, this library knows %u bytes, and byte %u of the rest is not zero",
           name, struct_size, known_size, i);
    }
  }
}

void check_kind(const char* op, uint32_t kind, int32_t expected) {
  if (kind != static_cast<uint32_t>(expected)) {
    fail(DSA_ERROR_INVALID, "%s.kind is %u, must be %d", op, kind, expected);
  }
}

void check_flags(const char* op, uint64_t flags, uint64_t allowed) {
  if (flags & ~allowed) {
    fail(DSA_ERROR_INVALID, "%s.flags has 0x%" PRIx64 ", which the operation does not take", op,
         flags & ~allowed);
  }
}

void reject_reserved(const char* op, const char* field, int64_t value) {
  if (value != 0) {
    fail(DSA_ERROR_UNSUPPORTED, "%s.%s is %" PRId64 ": reserved, no kernel does it yet", op, field,
         value);
  }
}

void reject_reserved(const char* op, const char* field, const dsa_tensor& tensor) {
  if (given(tensor)) {
    fail(DSA_ERROR_UNSUPPORTED, "%s.%s is given: reserved, no kernel does it yet", op, field);
  }
}

void check_distinct(const char* op, std::initializer_list<NamedTensor> outputs,
                    std::initializer_list<NamedTensor> inputs) {
  for (const NamedTensor* a = outputs.begin(); a != outputs.end(); ++a) {
    if (is_empty(*a->tensor)) continue;
    const auto check = [&](const NamedTensor& b) {
      if (!is_empty(*b.tensor) && b.tensor->data == a->tensor->data) {
        fail(DSA_ERROR_INVALID, "%s.%s and %s.%s overlap: both start at %p", op, a->field, op,
             b.field, a->tensor->data);
      }
    };
    for (const NamedTensor* b = a + 1; b != outputs.end(); ++b) check(*b);
    for (const NamedTensor& b : inputs) check(b);
  }
}

}  // namespace dsa
