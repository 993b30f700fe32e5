// Safetensors::parse believes nothing: whatever the bytes are, it either gives the tensors or
// throws BadInput with one line.

#include "safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "error.h"

namespace tinylm {
namespace {

using Bytes = std::vector<uint8_t>;

// F32 a [2] at 0, BF16 b [2, 3] at 8, an empty c at 20.
const std::string kHeader = R"({"__metadata__":{"format":"pt"},)"
                            R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                            R"("b":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},)"
                            R"("c":{"dtype":"F32","shape":[0,7],"data_offsets":[20,20]}})";

Bytes data() {
  Bytes bytes(20);
  const float a[] = {1.5f, -2.0f};
  std::memcpy(bytes.data(), a, sizeof a);
  for (size_t i = 0; i < 6; ++i) {
    const auto half = static_cast<uint16_t>(0x3f80 + i);
    std::memcpy(bytes.data() + 8 + 2 * i, &half, 2);
  }
  return bytes;
}

Bytes file(uint64_t length, const std::string &header, const Bytes &data) {
  Bytes bytes;
  for (int byte = 0; byte < 8; ++byte) bytes.push_back(static_cast<uint8_t>(length >> 8 * byte));
  bytes.insert(bytes.end(), header.begin(), header.end());
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}
Bytes file(const std::string &header) { return file(header.size(), header, data()); }

std::string replaced(const std::string &from, const std::string &to) {
  std::string header = kHeader;
  const size_t at = header.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return header.replace(at, from.size(), to);
}

// The text of the BadInput that parsing throws; "" when it does not.
std::string refusal(const Bytes &bytes) {
  try {
    Safetensors::parse(bytes, "file");
  } catch (const BadInput &error) {
    return error.what();
  }
  return "";
}

void expect_refused(const Bytes &bytes, const std::string &expected) {
  const std::string text = refusal(bytes);
  EXPECT_NE(text.find(expected), std::string::npos) << '"' << text << "\", not " << expected;
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
}

TEST(Safetensors, ReadsTensors) {
  const Safetensors s = Safetensors::parse(file(kHeader), "file");
  EXPECT_EQ(s.floats("a", std::vector<int64_t>{2}), (std::vector<float>{1.5f, -2.0f}));
  const std::vector<float> b = s.floats("b", std::vector<int64_t>{2, 3});
  ASSERT_EQ(b.size(), 6u);
  EXPECT_EQ(b[0], 1.0f);
  EXPECT_EQ(b[5], 1.0390625f);
  EXPECT_TRUE(s.floats("c", std::vector<int64_t>{0, 7}).empty());
}

// The data then starts at an odd address.
TEST(Safetensors, ReadsUnalignedData) {
  for (size_t spaces = 0; spaces < 8; ++spaces) {
    const Safetensors s = Safetensors::parse(file(kHeader + std::string(spaces, ' ')), "file");
    EXPECT_EQ(s.floats("a", std::vector<int64_t>{2})[0], 1.5f);
    EXPECT_EQ(s.floats("b", std::vector<int64_t>{2, 3})[5], 1.0390625f);
  }
}

TEST(Safetensors, RefusesEveryTruncation) {
  const Bytes whole = file(kHeader);
  for (size_t n = 0; n < whole.size(); ++n) {
    const Bytes part(whole.begin(), whole.begin() + static_cast<int64_t>(n));
    EXPECT_NE(refusal(part), "") << n << " of " << whole.size() << " bytes";
  }
  expect_refused(Bytes(7), "truncated");
  Bytes longer = whole;
  longer.push_back(0);
  expect_refused(longer, "21 bytes of data, the header describes 20");
}

TEST(Safetensors, RefusesLyingHeaderLengths) {
  const uint64_t right = kHeader.size();
  for (uint64_t length = 0; length < right + 40; ++length) {
    if (length == right) continue;
    EXPECT_NE(refusal(file(length, kHeader, data())), "") << length << " for " << right;
  }
  for (const uint64_t length : {uint64_t{1} << 31, uint64_t{1} << 63, ~uint64_t{0}, ~uint64_t{7}}) {
    expect_refused(file(length, kHeader, data()), "header length is");
  }
  expect_refused(file(1'000'000, kHeader, data()), "truncated: header of 1000000 bytes");
}

TEST(Safetensors, RefusesLyingOffsets) {
  const auto offsets_of_b = [](const std::string &to) { return file(replaced("[8,20]", to)); };
  expect_refused(offsets_of_b("[8,22]"), "with 20 bytes of data");
  expect_refused(offsets_of_b("[20,8]"), "data_offsets [20, 8]");
  expect_refused(offsets_of_b("[8,18]"), "are 10 bytes, BF16 [2, 3] takes 12");
  expect_refused(offsets_of_b("[7,19]"), "overlap");
  expect_refused(offsets_of_b("[0,12]"), "overlap");
  expect_refused(offsets_of_b("[-8,4]"), "not [begin, end]");
  expect_refused(offsets_of_b("[8.0,20]"), "not [begin, end]");
  expect_refused(offsets_of_b("[8]"), "not [begin, end]");
  expect_refused(offsets_of_b("[8,20,20]"), "not [begin, end]");
  expect_refused(offsets_of_b("\"8,20\""), "not [begin, end]");
  expect_refused(offsets_of_b("[18446744073709551608,18446744073709551615]"), "bytes of data");
  expect_refused(offsets_of_b("[8,1e400]"), "not JSON");
  expect_refused(file(replaced("[2],\"data_offsets\":[0,8]", "[1],\"data_offsets\":[0,4]")),
                 "leave a gap");
}

TEST(Safetensors, RefusesLyingShapesAndTypes) {
  expect_refused(file(replaced("[2,3]", "[2,4]")), "are 12 bytes, BF16 [2, 4] takes 16");
  expect_refused(file(replaced("[2,3]", "[2,-3]")), "extent");
  expect_refused(file(replaced("[2,3]", "[2,3.5]")), "extent");
  expect_refused(file(replaced("[2,3]", "6")), "not an array");
  expect_refused(file(replaced("[2,3]", "[4294967296,4294967296]")), "more bytes than 2^64");
  expect_refused(file(replaced("[2,3]", "[9223372036854775807,2]")), "more bytes than 2^64");
  expect_refused(file(replaced("[2,3]", "[18446744073709551615]")), "extent");
  expect_refused(file(replaced("\"BF16\"", "\"F32\"")), "F32 [2, 3] takes 24");
  expect_refused(file(replaced("\"BF16\"", "\"BF17\"")), "unknown dtype 'BF17'");
  expect_refused(file(replaced("\"BF16\"", "16")), "dtype is not a string");
  expect_refused(file(replaced("\"dtype\":\"BF16\",", "")), "tensor 'b' has no dtype");
  expect_refused(file("[1]"), "not a JSON object");
  expect_refused(file(R"({"a":7})"), "not described by an object");
}

TEST(Safetensors, NamesStayOnOneLine) {
  expect_refused(file(R"({"a\nb\u001b[31m\u00e4":7})"),
                 "'a?b?[31m?"
                 "?'");
  expect_refused(file("{\"" + std::string(5000, 'x') + "\":7}"), "xxx...'");
}

TEST(Safetensors, RefusesOtherShapesAndTypesThanAskedFor) {
  const auto refused = [](const std::string &header, const char *tensor,
                          const std::vector<int64_t> &shape) -> std::string {
    const Safetensors s = Safetensors::parse(file(header), "file");
    try {
      s.floats(tensor, shape);
    } catch (const BadInput &error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refused(kHeader, "b", {3, 2}), "file: tensor 'b' has shape [2, 3], expected [3, 2]");
  EXPECT_EQ(refused(kHeader, "b", {6}), "file: tensor 'b' has shape [2, 3], expected [6]");
  EXPECT_EQ(refused(kHeader, "d", {6}), "file: has no tensor 'd'");
  EXPECT_EQ(refused(replaced("\"BF16\"", "\"F16\""), "b", {2, 3}),
            "file: tensor 'b' is F16, expected BF16 or F32");
}

// One byte of the length or the header set to anything: no crash, no read past the end.
TEST(Safetensors, SurvivesEveryDamagedByte) {
  const Bytes whole = file(kHeader);
  for (size_t at = 0; at < 8 + kHeader.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      Bytes damaged = whole;
      damaged[at] = static_cast<uint8_t>(value);
      try {
        const Safetensors s = Safetensors::parse(std::move(damaged), "file");
        s.floats("a", std::vector<int64_t>{2});
        s.floats("b", std::vector<int64_t>{2, 3});
      } catch (const BadInput &error) {
        EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      }
    }
  }
}

}  // namespace
}  // namespace tinylm
