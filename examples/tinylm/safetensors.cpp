#include "safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "bfloat16.h"
#include "error.h"
#include "files.h"

namespace tinylm {
namespace {

using Json = nlohmann::json;

// What the format's own reader allows; the header of this model has 9 KB.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;

static_assert(std::endian::native == std::endian::little, "the format is little endian");

struct DtypeSize {
  const char *name;
  uint64_t bytes;
};
constexpr DtypeSize kDtypes[] = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
    {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
    {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8},
};

std::optional<uint64_t> dtype_bytes(const std::string &dtype) {
  for (const DtypeSize &known : kDtypes) {
    if (dtype == known.name) return known.bytes;
  }
  return std::nullopt;
}

// A name out of the file, fit for one line on a terminal whatever it holds.
std::string printable(const std::string &text) {
  constexpr size_t kMost = 80;
  std::string out;
  for (const char c : text.substr(0, kMost)) {
    out += c >= ' ' && c <= '~' ? c : '?';
  }
  return text.size() > kMost ? out + "..." : out;
}

std::optional<uint64_t> whole_number(const Json &value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  return value.get<uint64_t>();
}

[[noreturn]] void fail(const std::string &file, const std::string &what) {
  throw BadInput(file + ": " + what);
}

}  // namespace

Safetensors Safetensors::read(const std::filesystem::path &path) {
  return parse(read_file(path), path.string());
}

Safetensors Safetensors::parse(std::vector<uint8_t> file, std::string name) {
  if (file.size() < 8) {
    fail(name, fmt::format("truncated: {} bytes, the header's length alone takes 8", file.size()));
  }
  uint64_t header_bytes;
  std::memcpy(&header_bytes, file.data(), 8);
  if (header_bytes > kMaxHeaderBytes) {
    fail(name, fmt::format("header length is {}, more than {}", header_bytes, kMaxHeaderBytes));
  }
  if (header_bytes > file.size() - 8) {
    fail(name,
         fmt::format("truncated: header of {} bytes in a file of {}", header_bytes, file.size()));
  }
  const uint64_t data_begin = 8 + header_bytes;
  const uint64_t data_bytes = file.size() - data_begin;

  Json header;
  try {
    header = Json::parse(file.begin() + 8, file.begin() + static_cast<int64_t>(data_begin));
  } catch (const Json::exception &) {  // syntax, or a number beyond double
    fail(name, "header is not JSON");
  }
  if (!header.is_object()) fail(name, "header is not a JSON object");

  Safetensors result;
  std::vector<std::pair<uint64_t, uint64_t>> extents;  // of the data
  for (const auto &[key, entry] : header.items()) {
    if (key == "__metadata__") continue;
    const std::string tensor = "tensor '" + printable(key) + "'";
    if (!entry.is_object()) fail(name, tensor + " is not described by an object");
    for (const char *field : {"dtype", "shape", "data_offsets"}) {
      if (!entry.contains(field)) fail(name, fmt::format("{} has no {}", tensor, field));
    }

    Tensor t;
    const Json &dtype = entry["dtype"];
    if (!dtype.is_string()) fail(name, tensor + ": dtype is not a string");
    t.dtype = dtype.get<std::string>();
    const auto element = dtype_bytes(t.dtype);
    if (!element) fail(name, fmt::format("{}: unknown dtype '{}'", tensor, printable(t.dtype)));

    const Json &shape = entry["shape"];
    if (!shape.is_array()) fail(name, tensor + ": shape is not an array");
    uint64_t bytes = *element;
    for (const Json &extent : shape) {
      const auto n = whole_number(extent);
      if (!n || *n > INT64_MAX)
        fail(name, tensor + ": an extent of its shape is not a number >= 0");
      if (__builtin_mul_overflow(bytes, *n, &bytes)) {
        fail(name, tensor + ": its shape has more bytes than 2^64");
      }
      t.shape.push_back(static_cast<int64_t>(*n));
    }

    const Json &offsets = entry["data_offsets"];
    if (!offsets.is_array() || offsets.size() != 2 || !whole_number(offsets[0]) ||
        !whole_number(offsets[1])) {
      fail(name, tensor + ": data_offsets is not [begin, end]");
    }
    const uint64_t begin = *whole_number(offsets[0]);
    const uint64_t end = *whole_number(offsets[1]);
    if (begin > end || end > data_bytes) {
      fail(name, fmt::format("{}: data_offsets [{}, {}] with {} bytes of data", tensor, begin, end,
                             data_bytes));
    }
    if (end - begin != bytes) {
      fail(name, fmt::format("{}: data_offsets [{}, {}] are {} bytes, {} {} takes {}", tensor,
                             begin, end, end - begin, t.dtype, t.shape, bytes));
    }
    t.begin = data_begin + begin;
    t.end = data_begin + end;
    extents.emplace_back(begin, end);
    result.tensors_.emplace(key, std::move(t));
  }

  // The format leaves no byte of the data unused and none used twice.
  std::sort(extents.begin(), extents.end());
  uint64_t reached = 0;
  for (const auto &[begin, end] : extents) {
    if (begin != reached) {
      fail(name,
           fmt::format("data_offsets {} at byte {} of the data",
                       begin < reached ? "overlap" : "leave a gap", std::min(begin, reached)));
    }
    reached = end;
  }
  if (reached != data_bytes) {
    fail(name, fmt::format("{} bytes of data, the header describes {}", data_bytes, reached));
  }

  result.file_ = std::move(file);
  result.name_ = std::move(name);
  return result;
}

std::vector<float> Safetensors::floats(const std::string &tensor,
                                       std::span<const int64_t> shape) const {
  const auto found = tensors_.find(tensor);
  if (found == tensors_.end()) fail(name_, "has no tensor '" + tensor + "'");
  const Tensor &t = found->second;
  if (t.dtype != "F32" && t.dtype != "BF16") {
    fail(name_, fmt::format("tensor '{}' is {}, expected BF16 or F32", tensor, t.dtype));
  }
  if (!std::equal(t.shape.begin(), t.shape.end(), shape.begin(), shape.end())) {
    fail(name_, fmt::format("tensor '{}' has shape {}, expected {}", tensor, t.shape, shape));
  }

  const uint8_t *data = file_.data() + t.begin;
  const bool is_f32 = t.dtype == "F32";
  std::vector<float> values((t.end - t.begin) / (is_f32 ? 4 : 2));
  if (values.empty()) return values;
  if (is_f32) {
    std::memcpy(values.data(), data, t.end - t.begin);
  } else {
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t bits;
      std::memcpy(&bits, data + 2 * i, 2);  // a header of odd length leaves the data unaligned
      values[i] = from_bfloat16(bits);
    }
  }
  return values;
}

}  // namespace tinylm
