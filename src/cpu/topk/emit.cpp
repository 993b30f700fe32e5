#include "cpu/topk/emit.h"

#include <algorithm>
#include <cstring>

#include "cpu/simd/convert.h"
#include "cpu/topk/sort.h"

namespace dsa::cpu::topk {
namespace {

constexpr uint64_t align_up(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

struct Layout {
  uint64_t indices, values, keys, total;
};

Layout emit_layout(const SelectParams& select, int64_t max_length) {
  const uint64_t width = static_cast<uint64_t>(std::min<int64_t>(select.k, max_length));
  Layout l;
  l.indices = 0;
  l.values = l.indices + align_up(width * sizeof(int32_t));
  l.keys = l.values + align_up(width * sizeof(float));
  l.total = l.keys + (select.order == DSA_ORDER_SCORE ? align_up(width * 16) : 0);
  return l;
}

bool is_dense(const RowTensor& tensor, int32_t dtype) {
  return tensor.dtype == dtype && (tensor.stride[0] == 1 || tensor.extent[0] <= 1);
}

// Elements [begin, end) of one row of an output, each from value(j).
template <class T, class Value>
void write_elements(const RowTensor& out, int64_t t, int64_t begin, int64_t end, Value value) {
  T* row = out.row_as<T>(t);
  if (out.stride[0] == 1) {
    for (int64_t j = begin; j < end; ++j) row[j] = static_cast<T>(value(j));
  } else {
    for (int64_t j = begin; j < end; ++j) row[j * out.stride[0]] = static_cast<T>(value(j));
  }
}

// The scores' own bits: they were widened from the same dtype, so narrowing is exact.
void write_values(const RowTensor& out, int64_t t, int32_t count, const float* values) {
  const float kNegInf = -__builtin_inff();
  if (out.dtype == DSA_F32) {
    if (values != out.row_as<float>(t)) {
      write_elements<float>(out, t, 0, count, [&](int64_t j) { return values[j]; });
    }
    write_elements<float>(out, t, count, out.extent[0], [&](int64_t) { return kNegInf; });
  } else if (out.dtype == DSA_BF16) {
    write_elements<uint16_t>(out, t, 0, count, [&](int64_t j) { return f32_to_bf16(values[j]); });
    write_elements<uint16_t>(out, t, count, out.extent[0], [](int64_t) { return 0xff80u; });
  } else {
    write_elements<uint16_t>(out, t, 0, count, [&](int64_t j) { return f32_to_f16(values[j]); });
    write_elements<uint16_t>(out, t, count, out.extent[0], [](int64_t) { return 0xfc00u; });
  }
}

template <class T>
void write_one(const RowTensor& out, int64_t t, T value) {
  if (out.given()) *out.row_as<T>(t) = value;
}

}  // namespace

uint64_t emit_bytes(const SelectParams& select, int64_t max_length) {
  return emit_layout(select, max_length).total;
}

RowWriter::RowWriter(const SelectParams& select, int64_t max_length, char* scratch)
    : select_(select),
      needs_indices_(select.indices.given() || select.slots.given()),
      needs_values_(select.values.given()),
      sorts_(select.order == DSA_ORDER_SCORE && !select.cut_only()) {
  const Layout l = emit_layout(select, max_length);
  indices_ = reinterpret_cast<int32_t*>(scratch + l.indices);
  values_ = reinterpret_cast<float*>(scratch + l.values);
  keys_ = reinterpret_cast<uint64_t*>(scratch + l.keys);
}

Output RowWriter::begin(int64_t t) const {
  Output out;
  if (needs_indices_) {
    const bool own = !sorts_ && is_dense(select_.indices, DSA_I32);
    out.indices = own ? select_.indices.row_as<int32_t>(t) : indices_;
  }
  if (needs_values_ || sorts_) {
    const bool own = !sorts_ && is_dense(select_.values, DSA_F32);
    out.values = own ? select_.values.row_as<float>(t) : values_;
  }
  return out;
}

void RowWriter::end(int64_t t, const RowSpan& span, int32_t first_index, const Cut& cut,
                    const Output& selection) const {
  write_cut(t, cut);
  if (sorts_) {
    sort_by_score(selection.values, needs_indices_ ? selection.indices : nullptr, cut.count, keys_);
  }
  if (select_.slots.given()) {
    write_elements<int32_t>(select_.slots, t, 0, cut.count, [&](int64_t j) {
      const uint32_t column = uint32_t(selection.indices[j]) - uint32_t(first_index);
      return select_.to_slot(span.request, span.begin + int32_t(column));
    });
    write_elements<int32_t>(select_.slots, t, cut.count, select_.slots.extent[0],
                            [](int64_t) { return -1; });
  }
  if (select_.indices.given()) {
    if (selection.indices != select_.indices.row_as<int32_t>(t)) {
      write_elements<int32_t>(select_.indices, t, 0, cut.count,
                              [&](int64_t j) { return selection.indices[j]; });
    }
    write_elements<int32_t>(select_.indices, t, cut.count, select_.indices.extent[0],
                            [](int64_t) { return -1; });
  }
  if (select_.values.given()) write_values(select_.values, t, cut.count, selection.values);
}

void RowWriter::write_cut(int64_t t, const Cut& cut) const {
  write_one<int32_t>(select_.counts, t, cut.count);
  write_one<float>(select_.cut_score, t, cut.score);
  write_one<int32_t>(select_.cut_index, t, cut.index);
}

}  // namespace dsa::cpu::topk
