#include "support/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "support/element.h"

namespace support {
namespace {

constexpr int64_t kPage = 4096;
constexpr unsigned char kPoison = 0xff;

// The same memory with an axis in the opposite order: a negative stride.
void reverse(dsa_tensor& t, int axis) {
  t.data = static_cast<char*>(t.data) + (t.shape[axis] - 1) * t.stride[axis] * dtype_bytes(t.dtype);
  t.stride[axis] = -t.stride[axis];
}

}  // namespace

Arena::~Arena() {
  for (const Block& b : blocks_) {
    if (b.mapping) {
      munmap(b.mapping, size_t(b.mapped));
    } else {
      delete[] b.memory;
    }
  }
}

char* Arena::allocate(Block& block, int64_t alignment) {
  if (!random_.chance(guard_)) {
    // Exactly the bytes: the address sanitizer sees what lies behind them.
    block.mapping = nullptr;
    block.memory = new char[size_t(block.bytes)];
    return block.memory;
  }
  const int64_t inside = (block.bytes + kPage - 1) / kPage * kPage;
  block.mapped = inside + 2 * kPage;
  void* mapping = mmap(nullptr, size_t(block.mapped), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  block.mapping = static_cast<char*>(mapping);
  mprotect(block.mapping, kPage, PROT_NONE);
  mprotect(block.mapping + kPage + inside, kPage, PROT_NONE);
  const bool at_end = random_.chance(0.7);
  const int64_t skip = (inside - block.bytes) / alignment * alignment;
  block.memory = block.mapping + kPage + (at_end ? skip : 0);
  return block.memory;
}

dsa_tensor Arena::make(int32_t dtype, const std::vector<int64_t>& shape, const Style& style,
                       bool is_output) {
  dsa_tensor t = dsa_tensor_make(nullptr, dtype, int32_t(shape.size()), shape.data());
  const int ndim = int(shape.size());
  std::vector<int> order;  // innermost first
  for (int i = ndim - 1; i >= 0; --i) order.push_back(i);
  const bool dense = random_.chance(0.3);
  if (!dense && ndim > 1 && random_.chance(0.3)) {
    if (style.last_dense) {
      std::vector<int> rest(order.begin() + 1, order.end());
      random_.shuffle(rest);
      std::copy(rest.begin(), rest.end(), order.begin() + 1);
    } else {
      random_.shuffle(order);
    }
  }
  const int64_t unit = style.align_elements;
  int64_t reach = 1;
  for (const int axis : order) {
    int64_t step = reach;
    if (axis != order[0]) step = (step + unit - 1) / unit * unit;
    const bool first = axis == order[0];
    if (!dense && random_.chance(first ? 0.1 : 0.4) && !(first && style.last_dense)) {
      step += (first ? 1 : random_.between(1, 9)) * (first ? 1 : unit);
    }
    if (style.broadcast && random_.chance(0.05) && !(axis == ndim - 1 && style.last_dense))
      step = 0;
    t.stride[axis] = step;
    if (shape[size_t(axis)] > 0) reach += step * (shape[size_t(axis)] - 1);
    // From here on `reach` is the elements that a box of the axes so far spans.
  }
  bool empty = false;
  for (const int64_t extent : shape) empty = empty || extent == 0;
  const int64_t bytes = dtype_bytes(dtype);
  Block block{};
  block.is_output = is_output;
  block.bytes = empty ? 0 : reach * bytes;
  if (empty && random_.chance(0.5)) {
    block.tensor = t;
    blocks_.push_back(block);
    return t;
  }
  t.data = allocate(block, bytes * unit);
  if (block.bytes > 0) {
    std::memset(block.memory, is_output ? kUntouched : kPoison, size_t(block.bytes));
    if (!dense && random_.chance(0.1)) {
      const int axis = int(random_.between(0, ndim - 1));
      if (!(style.last_dense && axis == ndim - 1)) reverse(t, axis);
    }
  }
  block.tensor = t;
  blocks_.push_back(block);
  return t;
}

dsa_tensor Arena::input(int32_t dtype, std::vector<int64_t> shape, Style style) {
  return make(dtype, shape, style, false);
}

dsa_tensor Arena::output(int32_t dtype, std::vector<int64_t> shape) {
  return make(dtype, shape, {}, true);
}

void Arena::reset_outputs() {
  for (const Block& b : blocks_) {
    if (b.is_output && b.bytes > 0) std::memset(b.memory, kUntouched, size_t(b.bytes));
  }
}

std::string Arena::check_gaps() const {
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const Block& b = blocks_[i];
    if (!b.is_output || b.bytes == 0) continue;
    std::vector<uint8_t> own(size_t(b.bytes), 0);
    const int64_t bytes = dtype_bytes(b.tensor.dtype);
    each_element(b.tensor, [&](const char* at, const int64_t*) {
      std::memset(own.data() + (at - b.memory), 1, size_t(bytes));
    });
    for (size_t j = 0; j < own.size(); ++j) {
      if (!own[j] && static_cast<unsigned char>(b.memory[j]) != kUntouched) {
        return "byte " + std::to_string(j) + " of tensor " + std::to_string(i) +
               " is no element of it and was written";
      }
    }
  }
  return "";
}

uint64_t Arena::input_hash() const {
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (const Block& b : blocks_) {
    for (int64_t i = 0; i < b.bytes && !b.is_output; ++i) {
      hash = (hash ^ static_cast<unsigned char>(b.memory[i])) * 0x100000001b3u;
    }
  }
  return hash;
}

std::vector<unsigned char> Arena::output_bytes() const {
  std::vector<unsigned char> all;
  for (const Block& b : blocks_) {
    if (!b.is_output) continue;
    const int64_t bytes = dtype_bytes(b.tensor.dtype);
    if (b.bytes == 0) continue;
    each_element(b.tensor,
                 [&](const char* at, const int64_t*) { all.insert(all.end(), at, at + bytes); });
  }
  return all;
}

}  // namespace support
