#pragma once
// Reads the safetensors format (https://github.com/huggingface/safetensors): 8 bytes of header
// length, a JSON header {name: {dtype, shape, data_offsets}}, the data. Nothing in the file is
// believed before it was checked: a damaged file throws BadInput with one line that names the file,
// the tensor and the numbers.

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace tinylm {

class Safetensors {
 public:
  static Safetensors read(const std::filesystem::path &path);
  // `name` is what errors call the file.
  static Safetensors parse(std::vector<uint8_t> file, std::string name);

  bool has(const std::string &tensor) const { return tensors_.count(tensor) != 0; }

  // The values of an F32 or BF16 tensor, which must have this very shape.
  std::vector<float> floats(const std::string &tensor, std::span<const int64_t> shape) const;

 private:
  struct Tensor {
    std::string dtype;
    std::vector<int64_t> shape;
    uint64_t begin = 0;  // in file_
    uint64_t end = 0;
  };

  Safetensors() = default;

  std::string name_;
  std::vector<uint8_t> file_;
  std::map<std::string, Tensor> tensors_;
};

}  // namespace tinylm
