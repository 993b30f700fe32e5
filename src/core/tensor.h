// Views of the caller's tensors in the form that kernels take: a row axis and up to two more.
#pragma once

#include <cstdint>

#include "dsa.h"

#if defined(__CUDACC__)
#define DSA_HOST_DEVICE __host__ __device__
#else
#define DSA_HOST_DEVICE
#endif

namespace dsa {

// Bytes of one element; 0 for dtypes that have no such thing (reserved block formats).
DSA_HOST_DEVICE constexpr int32_t element_bytes(int32_t dtype) {
  switch (dtype) {
    case DSA_F32:
    case DSA_I32:
      return 4;
    case DSA_F16:
    case DSA_BF16:
      return 2;
    case DSA_F8_E4M3FN:
    case DSA_U8:
      return 1;
    case DSA_I64:
      return 8;
    default:
      return 0;
  }
}

const char* dtype_name(int32_t dtype);

// A tensor [T, extent[0], extent[1]] whose row axis T may be two axes [B, T/B] of the caller's.
struct RowTensor {
  char* data = nullptr;
  int32_t dtype = 0;         // 0: not given
  int32_t bytes = 0;         // of an element
  int64_t split = 0;         // rows of the inner leading axis; 0: T is one axis
  int64_t outer_stride = 0;  // bytes
  int64_t row_stride = 0;    // bytes
  int64_t extent[2] = {1, 1};
  int64_t stride[2] = {0, 0};  // elements

  DSA_HOST_DEVICE bool given() const { return dtype != 0; }

  // Address of row t.
  DSA_HOST_DEVICE char* row(int64_t t) const {
    if (split == 0) return data + t * row_stride;
    return data + (t / split) * outer_stride + (t % split) * row_stride;
  }
  template <class T>
  DSA_HOST_DEVICE T* row_as(int64_t t) const {
    return reinterpret_cast<T*>(row(t));
  }
};

// What a tensor field of a descriptor must be. Names appear in error texts as "op.field".
struct TensorRule {
  const char* op;
  const char* field;
  uint32_t dtypes;  // bits 1 << DSA_F32 ...
  bool is_output = false;
};

constexpr uint32_t dtype_bit(int32_t dtype) { return 1u << dtype; }
inline constexpr uint32_t kFloatDtypes =
    dtype_bit(DSA_F32) | dtype_bit(DSA_F16) | dtype_bit(DSA_BF16);
inline constexpr uint32_t kKeyDtypes = kFloatDtypes | dtype_bit(DSA_F8_E4M3FN);

inline bool given(const dsa_tensor& tensor) { return tensor.ndim != 0; }

// The one device that all tensors of a call are on: that of the first that has elements.
struct CallDevice {
  int32_t type = 0;             // DSA_DEVICE_CPU or _CUDA; 0: no tensor yet
  const char* field = nullptr;  // of the tensor that decided
  // What the context offers.
  int32_t cuda_id = -1;           // its CUDA device; -1: none
  const char* cuda_missing = "";  // why there is none although one was asked for
};

// Which pointers and devices a call may have. Size queries take descriptors without data.
struct CallKind {
  bool needs_data = true;
  CallDevice* device = nullptr;  // optional; filled by check_tensor
};

// Throws unless the tensor is well formed: rank, extents, strides that cannot overflow, dtype,
// device, alignment, data. An output must not overlap itself.
void check_tensor(const TensorRule& rule, const dsa_tensor& tensor, int32_t min_ndim,
                  int32_t max_ndim, CallKind call);

// Rows of a checked tensor whose rank is 1 + inner or 2 + inner: its product of leading axes.
int64_t row_count(const dsa_tensor& tensor, int32_t inner);

// Checks and converts an optional tensor [T, inner extents...]; expects T rows. Not given: an empty
// view.
RowTensor row_tensor(const TensorRule& rule, const dsa_tensor& tensor, int32_t inner, int64_t rows,
                     CallKind call);

// Throws unless tensor.shape[axis from the end] equals `expected`.
void check_extent(const TensorRule& rule, const dsa_tensor& tensor, int32_t axis, int64_t expected,
                  const char* expected_name);

}  // namespace dsa
