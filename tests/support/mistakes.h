// Calls with one mistake each: the status they must give, the text that must name the field, and
// outputs that nobody touched.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/cases.h"
#include "support/draw_fields.h"
#include "support/element.h"
#include "support/kernels.h"

namespace support {

template <class Desc>
struct Mistake {
  std::function<void(Desc&)> make;
  dsa_status status;
  std::vector<std::string> text;  // parts of the error's text, field and numbers
};

// A tensor field: its name, where it is, and what it is.
template <class Desc>
struct Field {
  const char* name;
  dsa_tensor Desc::*tensor;
  enum Kind { kFirst, kRows, kOther, kOutput } kind;  // kFirst: says how many rows there are
};

inline bool all_in(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    if (text.find(part) == std::string::npos) return false;
  }
  return true;
}

inline dsa_tensor zeros(Arena& arena, int32_t dtype, std::vector<int64_t> shape,
                        Arena::Style style = {}) {
  const dsa_tensor t = arena.input(dtype, std::move(shape), style);
  fill(t, [] { return 0.0; });
  return t;
}

// A call that is right, made anew for every mistake.
template <class Desc>
using MakeCase = std::function<std::unique_ptr<Case<Desc>>()>;

template <class Desc>
void expect_mistake(dsa_ctx* ctx, const MakeCase<Desc>& make_case, const Mistake<Desc>& mistake,
                    bool needs_data = false) {
  const auto c = make_case();
  mistake.make(c->d);
  std::string wanted;
  for (const std::string& part : mistake.text) wanted += "\"" + part + "\" ";
  SCOPED_TRACE("wanted: " + wanted);
  const auto judge = [&](const char* function, dsa_status status) {
    EXPECT_STREQ(dsa_status_name(status), dsa_status_name(mistake.status))
        << function << ": " << dsa_last_error();
    if (status != DSA_OK) {
      EXPECT_TRUE(all_in(dsa_last_error(), mistake.text)) << function << ": " << dsa_last_error();
    }
  };
  judge("the call", run(ctx, c->d));
  for (const unsigned char byte : c->arena.output_bytes()) {
    ASSERT_EQ(byte, Arena::kUntouched) << "an output was written";
  }
  if (needs_data) return;  // a question reads no data, and may have none
  judge("dsa_supports", dsa_supports(ctx, &c->d));
  uint64_t bytes = 77;
  judge("dsa_workspace_size", dsa_workspace_size(ctx, &c->d, &bytes));
  if (mistake.status != DSA_OK) {
    EXPECT_EQ(bytes, 77u);
  }
  dsa_plan* plan = nullptr;
  judge("dsa_plan_create", dsa_plan_create(ctx, &c->d, &plan));
  if (mistake.status != DSA_OK) {
    EXPECT_EQ(plan, nullptr);
  }
  dsa_plan_destroy(plan);
}

template <class Desc>
void expect_mistakes(dsa_ctx* ctx, const MakeCase<Desc>& make_case,
                     const std::vector<Mistake<Desc>>& mistakes) {
  for (size_t i = 0; i < mistakes.size(); ++i) {
    SCOPED_TRACE("mistake " + std::to_string(i));
    expect_mistake(ctx, make_case, mistakes[i]);
  }
}

// Every way in which a tensor itself can be wrong, for each field that the case has.
template <class Desc>
void expect_tensor_mistakes(dsa_ctx* ctx, const MakeCase<Desc>& make_case, const std::string& op,
                            const std::vector<Field<Desc>>& fields) {
  for (const Field<Desc>& field : fields) {
    const std::string name = op + "." + field.name;
    SCOPED_TRACE(name);
    const auto right = make_case();
    const dsa_tensor before = right->d.*field.tensor;
    ASSERT_NE(before.ndim, 0) << "the case lacks this field";
    const auto with = [&](std::function<void(dsa_tensor&)> change) {
      return [change, &field](Desc& d) { change(d.*field.tensor); };
    };
    const auto expect = [&](dsa_status status, std::vector<std::string> text, auto change,
                            bool needs_data = false) {
      expect_mistake<Desc>(ctx, make_case, {with(change), status, std::move(text)}, needs_data);
    };
    for (const int32_t ndim : {-1, 6, INT32_MIN, INT32_MAX}) {
      expect(DSA_ERROR_INVALID, {name + ".ndim is " + std::to_string(ndim)},
             [=](dsa_tensor& t) { t.ndim = ndim; });
    }
    for (const int32_t dtype : {-1, 0, 11, 31, 32, 99, INT32_MAX}) {
      expect(DSA_ERROR_INVALID, {name + ".dtype is " + std::to_string(dtype)},
             [=](dsa_tensor& t) { t.dtype = dtype; });
    }
    for (const int32_t dtype : {DSA_I64, DSA_GGML_Q8_0, DSA_MXFP4, DSA_NVFP4}) {
      expect(DSA_ERROR_UNSUPPORTED, {name + ".dtype is " + std::to_string(dtype)},
             [=](dsa_tensor& t) { t.dtype = dtype; });
    }
    expect(DSA_ERROR_NO_BACKEND, {name + ".device is 2"},
           [](dsa_tensor& t) { t.device = DSA_DEVICE_CUDA; });
    for (const int32_t device : {-1, 4}) {
      expect(DSA_ERROR_INVALID, {name + ".device is " + std::to_string(device)},
             [=](dsa_tensor& t) { t.device = device; });
    }
    for (int i = 0; i < 3; ++i) {
      expect(DSA_ERROR_INVALID, {name + ".reserved"}, [=](dsa_tensor& t) { t.reserved[i] = 1; });
    }
    for (int32_t axis = 0; axis < before.ndim; ++axis) {
      const std::string shape = name + ".shape[" + std::to_string(axis) + "]";
      for (const int64_t n : {int64_t{-1}, INT64_MIN, (int64_t{1} << 40) + 1}) {
        expect(DSA_ERROR_INVALID, {name, std::to_string(n)},
               [=](dsa_tensor& t) { t.shape[axis] = n; });
      }
      if (before.shape[axis] > 1) {
        for (const int64_t step : {int64_t{1} << 60, -(int64_t{1} << 60), INT64_MIN, INT64_MAX}) {
          expect(DSA_ERROR_INVALID, {name, std::to_string(step)},
                 [=](dsa_tensor& t) { t.stride[axis] = step; });
        }
      }
    }
    expect(
        DSA_ERROR_INVALID, {name + ".data is NULL"}, [](dsa_tensor& t) { t.data = nullptr; }, true);
    if (dtype_bytes(before.dtype) > 1) {
      expect(
          DSA_ERROR_INVALID, {name + ".data is not aligned"},
          [](dsa_tensor& t) { t.data = static_cast<char*>(t.data) + 1; }, true);
    }
    if (field.kind == Field<Desc>::kRows || field.kind == Field<Desc>::kOutput) {
      const int64_t rows = before.shape[0];
      expect(DSA_ERROR_INVALID,
             {name + ".shape[0] is " + std::to_string(rows - 1), std::to_string(rows)},
             [=](dsa_tensor& t) { t.shape[0] = rows - 1; });
    }
    if (field.kind == Field<Desc>::kOutput) {
      expect(DSA_ERROR_INVALID, {name, "overlap"}, [](dsa_tensor& t) { t.stride[0] = 0; });
    }
  }
}

// What every descriptor shares: size, kind, flags. `allowed`: flags that the operation takes.
template <class Desc>
void expect_header_mistakes(dsa_ctx* ctx, const MakeCase<Desc>& make_case, const std::string& op,
                            uint64_t allowed) {
  const auto right = make_case();
  const uint32_t size = sizeof(Desc);
  for (const uint32_t wrong : {0u, 8u, size - 1, UINT32_MAX}) {
    SCOPED_TRACE("struct_size " + std::to_string(wrong));
    expect_mistake<Desc>(ctx, make_case,
                         {[=](Desc& d) { d.struct_size = wrong; },
                          DSA_ERROR_STRUCT_SIZE,
                          {op + ".struct_size is " + std::to_string(wrong), std::to_string(size)}});
  }
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t flag = uint64_t{1} << bit;
    if (flag & allowed) continue;
    expect_mistake<Desc>(ctx, make_case,
                         {[=](Desc& d) { d.flags |= flag; }, DSA_ERROR_INVALID, {op + ".flags"}});
  }
  const auto c = make_case();
  c->d.kind += 1;
  EXPECT_EQ(run(ctx, c->d), DSA_ERROR_INVALID);
  EXPECT_TRUE(all_in(dsa_last_error(), {op + ".kind is " + std::to_string(c->d.kind)}))
      << dsa_last_error();

  // A newer caller's larger struct: accepted while what this library does not know is zero.
  const auto large = make_case();
  std::vector<uint64_t> bytes(size / 8 + 4, 0);
  std::memcpy(bytes.data(), &large->d, size);
  Desc* newer = reinterpret_cast<Desc*>(bytes.data());
  newer->struct_size = size + 24;
  EXPECT_EQ(dsa_supports(ctx, newer), DSA_OK) << dsa_last_error();
  EXPECT_EQ(run(ctx, *newer), DSA_OK) << dsa_last_error();
  reinterpret_cast<unsigned char*>(newer)[size + 23] = 1;
  large->arena.reset_outputs();
  EXPECT_EQ(dsa_supports(ctx, newer), DSA_ERROR_STRUCT_SIZE);
  EXPECT_EQ(run(ctx, *newer), DSA_ERROR_STRUCT_SIZE);
  EXPECT_TRUE(all_in(dsa_last_error(), {std::to_string(size + 24), std::to_string(size),
                                        "byte " + std::to_string(size + 23)}))
      << dsa_last_error();
  for (const unsigned char byte : large->arena.output_bytes()) ASSERT_EQ(byte, Arena::kUntouched);
}

}  // namespace support
