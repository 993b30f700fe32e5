#pragma once
// A dsa_tensor that owns a share of the memory it lies in, and knows how much of it there is: no
// view that the bindings make reaches past its memory, and none outlives it.

#include <dsa.h>

#include <cinttypes>
#include <cstring>
#include <memory>
#include <new>

#include "error.h"

namespace dsa_swig {

// Memory that a language owns derives from this, and lets go of it in its destructor.
struct Memory {
  virtual ~Memory() = default;
  void *data = nullptr;
  uint64_t bytes = 0;
};

struct OwnMemory final : Memory {
  // What dsa.h asks of a workspace, so that a tensor can be one.
  static constexpr std::align_val_t kAlignment{256};

  explicit OwnMemory(uint64_t size) {
    data = ::operator new(size, kAlignment);
    bytes = size;
    std::memset(data, 0, size);
  }
  ~OwnMemory() override { ::operator delete(data, kAlignment); }
};

// The caller's word alone stands for an address: it must stay valid, and be large enough.
struct ForeignMemory final : Memory {
  explicit ForeignMemory(void *address) {
    data = address;
    bytes = UINT64_MAX;
  }
};

inline int64_t element_bytes(int32_t dtype) {
  switch (dtype) {
    case DSA_F8_E4M3FN:
    case DSA_U8:
      return 1;
    case DSA_F16:
    case DSA_BF16:
      return 2;
    case DSA_F32:
    case DSA_I32:
      return 4;
    case DSA_I64:
      return 8;
    default:
      fail("tensor.dtype is %" PRId32 ", which has no elements of whole bytes", dtype);
  }
}

// What the elements of a tensor are in a language: 16 and 8 bit types pass as their bits.
enum class Element { kFloat, kInt, kShort, kByte };

inline Element element_of(int32_t dtype) {
  switch (element_bytes(dtype)) {
    case 1:
      return Element::kByte;
    case 2:
      return Element::kShort;
    case 4:
      return dtype == DSA_F32 ? Element::kFloat : Element::kInt;
    default:
      fail("tensor.dtype is %" PRId32 ", whose elements are not copied", dtype);
  }
}

// Extents or strides, slowest first.
struct Axes {
  int64_t values[5] = {};
  int32_t count = 0;
};

struct Tensor : dsa_tensor {
  std::shared_ptr<Memory> memory;

  Tensor(const dsa_tensor &view, std::shared_ptr<Memory> in)
      : dsa_tensor(view), memory(std::move(in)) {}

  // Dense, of zeros, in memory of its own.
  static Tensor *zeros(int32_t dtype, const Axes &shape) {
    return dense(std::make_shared<OwnMemory>(dense_bytes(dtype, shape)), dtype, shape);
  }

  // Dense, from the start of `memory`.
  static Tensor *in(std::shared_ptr<Memory> memory, int32_t dtype, const Axes &shape) {
    const uint64_t bytes = dense_bytes(dtype, shape);
    if (bytes > memory->bytes) {
      fail("tensor.data holds %" PRIu64 " bytes, its shape and dtype take %" PRIu64, memory->bytes,
           bytes);
    }
    return dense(std::move(memory), dtype, shape);
  }

  // The memory goes when nothing else holds it; nothing can be done with the tensor from then on.
  void close() {
    memory = nullptr;
    std::memset(static_cast<dsa_tensor *>(this), 0, sizeof(dsa_tensor));
  }

  const Tensor &open() const {
    if (!memory) fail("the tensor is closed");
    return *this;
  }

  // Other extents and strides over the same memory, from `offset` elements behind this start.
  Tensor *view(const Axes &extents, const Axes &strides, int64_t offset) const {
    open();
    if (extents.count != strides.count) {
      fail("tensor.shape has %d axes, stride has %d", extents.count, strides.count);
    }
    dense_bytes(dtype, extents);
    __int128 first = offset, last = offset;
    bool empty = false;
    for (int32_t i = 0; i < extents.count; ++i) {
      const __int128 reach = static_cast<__int128>(extents.values[i] - 1) * strides.values[i];
      (reach < 0 ? first : last) += reach;
      empty = empty || extents.values[i] == 0;
    }
    const int64_t bytes = element_bytes(dtype);
    const auto begin =
        reinterpret_cast<uintptr_t>(data) - reinterpret_cast<uintptr_t>(memory->data);
    const __int128 low = static_cast<__int128>(begin) + first * bytes;
    const __int128 high = static_cast<__int128>(begin) + (last + 1) * bytes;
    if (!empty && (low < 0 || high > static_cast<__int128>(memory->bytes))) {
      fail("tensor.stride reaches bytes %" PRId64 " to %" PRId64 ", its memory holds %" PRIu64,
           static_cast<int64_t>(low), static_cast<int64_t>(high), memory->bytes);
    }
    Tensor *made = dense(memory, dtype, extents);
    std::memcpy(made->stride, strides.values, sizeof made->stride);
    if (!empty) made->data = static_cast<char *>(data) + offset * bytes;
    return made;
  }

  int64_t extent(int32_t axis) const { return shape[checked(axis)]; }
  int64_t step(int32_t axis) const { return stride[checked(axis)]; }

  int64_t elements() const {
    int64_t count = 1;
    for (int32_t i = 0; i < ndim; ++i) count *= shape[i];
    return count;
  }

  // Where `count` elements of this kind may be copied to or from: the whole of a dense tensor.
  void *elements_for_copy(Element kind, int64_t count) const {
    open().check_dense();
    static constexpr const char *kNames[] = {"float", "int", "16-bit", "8-bit"};
    const Element own = element_of(dtype);
    if (kind != own) {
      fail("tensor.dtype is %" PRId32 ", whose elements are %s, not %s", dtype,
           kNames[static_cast<int>(own)], kNames[static_cast<int>(kind)]);
    }
    if (count != elements()) {
      fail("the array holds %" PRId64 " elements, the tensor %" PRId64, count, elements());
    }
    return data;
  }

  void check_dense() const {
    int64_t step = 1;
    for (int32_t i = ndim - 1; i >= 0; --i) {
      if (shape[i] > 1 && stride[i] != step) {
        fail("tensor.stride[%d] is %" PRId64 ", a dense tensor has %" PRId64, i, stride[i], step);
      }
      step *= shape[i];
    }
  }

 private:
  static Tensor *dense(std::shared_ptr<Memory> in, int32_t dtype, const Axes &shape) {
    const dsa_tensor view = dsa_tensor_make(in->data, dtype, shape.count, shape.values);
    return new Tensor(view, std::move(in));
  }

  int32_t checked(int32_t axis) const {
    open();
    if (axis < 0 || axis >= ndim) fail("axis is %d, the tensor has %d", axis, ndim);
    return axis;
  }

  static uint64_t dense_bytes(int32_t dtype, const Axes &shape) {
    if (shape.count < 1 || shape.count > 5) {
      fail("tensor.shape has %d axes, must have 1 to 5", shape.count);
    }
    __int128 bytes = element_bytes(dtype);
    for (int32_t i = 0; i < shape.count; ++i) {
      const int64_t extent = shape.values[i];
      // 2^40 elements an axis: the library's own limit.
      if (extent < 0 || extent > int64_t{1} << 40) {
        fail("tensor.shape[%d] is %" PRId64 ", must be 0 to 2^40", i, extent);
      }
      bytes *= extent;
      if (bytes > __int128{1} << 55) fail("tensor.shape takes more than 2^55 bytes");
    }
    return static_cast<uint64_t>(bytes);
  }
};

}  // namespace dsa_swig
