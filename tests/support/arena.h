// Memory of test tensors: poisoned where no element lies, and optionally between pages that fault.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dsa.h"
#include "support/random.h"

namespace support {

class Arena {
 public:
  // Some tensors end (or begin) at a page that faults when touched, so that a read past an extent
  // is not missed; `guard` 0 .. 1 is their share.
  Arena(Random& random, double guard) : random_(random), guard_(guard) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // A tensor with axes in any order in memory, padded or negative strides; what is no element holds
  // 0xff bytes (NaN in every float type, -1 in i32). `broadcast`: an axis may have stride 0.
  // `last_dense`: the last axis has stride 1.
  struct Style {
    bool broadcast = false;
    bool last_dense = false;
    int64_t align_elements = 1;  // strides are multiples of it
  };
  dsa_tensor input(int32_t dtype, std::vector<int64_t> shape, Style style);
  // Holds kUntouched bytes everywhere.
  dsa_tensor output(int32_t dtype, std::vector<int64_t> shape);

  // Puts kUntouched back into every output.
  void reset_outputs();
  // "" or which output was written outside its elements.
  std::string check_gaps() const;
  // Bytes of all outputs, after each other: equal for equal results.
  std::vector<unsigned char> output_bytes() const;

  // Of the bytes of all inputs: a call must not change them.
  uint64_t input_hash() const;

  static constexpr unsigned char kUntouched = 0x5a;

 private:
  struct Block {
    char* memory;  // usable bytes
    int64_t bytes;
    char* mapping;  // of mmap, or nullptr: from new
    int64_t mapped;
    bool is_output;
    dsa_tensor tensor;
  };
  dsa_tensor make(int32_t dtype, const std::vector<int64_t>& shape, const Style& style,
                  bool is_output);
  char* allocate(Block& block, int64_t alignment);

  Random& random_;
  double guard_;
  std::vector<Block> blocks_;
};

}  // namespace support
