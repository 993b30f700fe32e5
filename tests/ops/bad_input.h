// A right call of each operation with room for its outputs, to be broken field by field.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "support/kernels.h"

namespace bad_input {

constexpr unsigned char kUntouched = 0x5a;

// Memory that is large enough for every right tensor of these calls, of any dtype.
struct Memory {
  std::vector<std::vector<float>> blocks;
  float* take(float value = 0) {
    blocks.emplace_back(4096, value);
    return blocks.back().data();
  }
  Memory() { blocks.reserve(64); }
};

template <class Desc>
struct Call {
  Memory memory;
  Desc d{};
  std::vector<const dsa_tensor*> outputs;  // members of d
  std::vector<int32_t> tables = std::vector<int32_t>(4096, 0);

  Call() = default;
  Call(const Call&) = delete;

  void is_output(dsa_tensor& t) {
    std::memset(t.data, kUntouched, 4096 * sizeof(float));
    outputs.push_back(&t);
    saved.push_back(t.data);
  }
  bool untouched() const {
    for (const void* data : saved) {
      const auto* bytes = static_cast<const unsigned char*>(data);
      for (size_t i = 0; i < 4096 * sizeof(float); ++i) {
        if (bytes[i] != kUntouched) return false;
      }
    }
    return true;
  }
  std::vector<const void*> saved;
};

// Breaks one thing, expects the status, a text that holds every needle, and untouched outputs. The
// error must be found without data too, unless it lies in the data pointers.
template <class MakeCall, class Break>
void expect_error(MakeCall&& make, Break&& break_it, dsa_status status,
                  std::initializer_list<const char*> needles, bool needs_data = false) {
  static const support::Context ctx = support::make_context();
  ASSERT_TRUE(ctx);
  auto call = make();
  break_it(call->d);
  EXPECT_EQ(support::run(ctx.get(), call->d), status) << *needles.begin() << dsa_last_error();
  const std::string text = dsa_last_error();
  for (const char* needle : needles) {
    EXPECT_NE(text.find(needle), std::string::npos) << "\"" << needle << "\" is not in: " << text;
  }
  EXPECT_TRUE(call->untouched()) << text;
  if (!needs_data) {
    EXPECT_EQ(dsa_supports(ctx.get(), &call->d), status) << text;
    uint64_t bytes = 77;
    EXPECT_EQ(dsa_workspace_size(ctx.get(), &call->d, &bytes), status) << text;
    EXPECT_EQ(bytes, 77u);
    dsa_plan* plan = nullptr;
    EXPECT_EQ(dsa_plan_create(ctx.get(), &call->d, &plan), status) << text;
    EXPECT_EQ(plan, nullptr);
  }
}

// What goes wrong with any tensor: rank, extents, strides, dtype, device.
template <class MakeCall, class Member>
void expect_tensor_errors(MakeCall&& make, Member&& member, const char* name, bool is_output) {
  using D = std::remove_reference_t<decltype(make()->d)>;
  const auto broken = [&](auto&& change, dsa_status status, bool needs_data = false) {
    expect_error(
        make, [&](D& d) { change(member(d)); }, status, {name}, needs_data);
  };
  broken([](dsa_tensor& t) { t.ndim = 6; }, DSA_ERROR_INVALID);
  broken([](dsa_tensor& t) { t.ndim = -1; }, DSA_ERROR_INVALID);
  broken([](dsa_tensor& t) { t.shape[0] = -1; }, DSA_ERROR_INVALID);
  broken([](dsa_tensor& t) { t.shape[0] = INT64_MAX; }, DSA_ERROR_INVALID);
  broken([](dsa_tensor& t) { t.stride[0] = INT64_MAX / 2; }, DSA_ERROR_INVALID);
  broken([](dsa_tensor& t) { t.dtype = 99; }, DSA_ERROR_INVALID);
  broken([](dsa_tensor& t) { t.dtype = -1; }, DSA_ERROR_INVALID);
  broken([](dsa_tensor& t) { t.dtype = 0; }, DSA_ERROR_INVALID);
  broken([](dsa_tensor& t) { t.dtype = DSA_I64; }, DSA_ERROR_UNSUPPORTED);
  broken([](dsa_tensor& t) { t.dtype = DSA_MXFP4; }, DSA_ERROR_UNSUPPORTED);
  broken([](dsa_tensor& t) { t.device = 77; }, DSA_ERROR_INVALID);
  broken([](dsa_tensor& t) { t.reserved[1] = 1; }, DSA_ERROR_INVALID);
  broken([](dsa_tensor& t) { t.data = nullptr; }, DSA_ERROR_INVALID, true);
  broken([](dsa_tensor& t) { t.data = static_cast<char*>(t.data) + 1; }, DSA_ERROR_INVALID, true);
  if (is_output) {
    broken([](dsa_tensor& t) { t.stride[0] = 0; }, DSA_ERROR_INVALID);
  }
}

// struct_size, kind, flags.
template <class MakeCall>
void expect_header_errors(MakeCall&& make, const char* op, uint64_t foreign_flag) {
  using D = std::remove_reference_t<decltype(make()->d)>;
  expect_error(make, [](D& d) { d.struct_size = 0; }, DSA_ERROR_STRUCT_SIZE, {op, "struct_size"});
  expect_error(make, [](D& d) { d.struct_size -= 8; }, DSA_ERROR_STRUCT_SIZE,
               {op, "struct_size", std::to_string(sizeof(D)).c_str()});
  expect_error(make, [](D& d) { d.struct_size = 0xffffffffu; }, DSA_ERROR_STRUCT_SIZE,
               {"struct_size"});
  expect_error(make, [](D& d) { d.kind = 77; }, DSA_ERROR_INVALID, {"kind", "77"});
  expect_error(make, [=](D& d) { d.flags |= foreign_flag; }, DSA_ERROR_INVALID, {op, "flags"});
  expect_error(make, [](D& d) { d.flags |= uint64_t{1} << 40; }, DSA_ERROR_INVALID, {op, "flags"});
}

// A newer caller's larger struct.
template <class MakeCall>
void expect_larger_structs(MakeCall&& make) {
  using D = std::remove_reference_t<decltype(make()->d)>;
  const support::Context ctx = support::make_context();
  auto call = make();
  struct Larger {
    D d;
    uint64_t tail[4];
  } larger{};
  larger.d = call->d;
  larger.d.struct_size = sizeof larger;
  EXPECT_EQ(support::run(ctx.get(), larger.d), DSA_OK) << dsa_last_error();
  larger.tail[3] = uint64_t{1} << 56;
  EXPECT_EQ(support::run(ctx.get(), larger.d), DSA_ERROR_STRUCT_SIZE);
  EXPECT_EQ(dsa_supports(ctx.get(), &larger.d), DSA_ERROR_STRUCT_SIZE);
}

}  // namespace bad_input
