// What the fake device does for rows of a shipment, on the CPU's portable kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "core/services.h"
#include "fake_rows.h"

namespace fake {

inline const dsa::Parallel& one_thread() {
  static const dsa::Parallel parallel(1, nullptr, nullptr);
  return parallel;
}

// The row's visible scores, NaN where something hides the key.
inline std::vector<float> scores_of(const dsa::IndexerParams& p, int64_t t) {
  RowNumbers numbers;
  dsa::IndexerParams row = one_row(p, t, numbers);
  std::vector<float> all(size_t(std::max<int64_t>(p.rows.key_limit, 1)), NAN);
  row.keep_invisible = true;
  row.scores.data = reinterpret_cast<char*>(all.data());
  row.scores.dtype = DSA_F32;
  row.scores.bytes = 4;
  row.scores.extent[0] = int64_t(all.size());
  row.scores.stride[0] = 1;
  const dsa::KernelList list = dsa::cpu_kernels();
  for (int32_t i = 0; i < list.size; ++i) {
    const dsa::Kernel& kernel = *list.data[i];
    if (kernel.operation != DSA_OP_INDEXER || kernel.tier != dsa::CpuTier::kScalar) continue;
    std::vector<char> memory(kernel.workspace(&row, 1) + 256);
    dsa::Run run;
    run.parallel = &one_thread();
    run.workspace = memory.data() + (256 - reinterpret_cast<uintptr_t>(memory.data()) % 256) % 256;
    kernel.launch(&row, run);
  }
  const int32_t first = p.rows.columns_from_begin ? 0 : numbers.begin;
  return {all.begin() + first, all.begin() + first + (numbers.end - numbers.begin)};
}

// Every third row is shipped whole, as one whose bound was not proved.
inline void ship_row(const dsa::IndexerTopkParams& p, const dsa::Shipment& s, int64_t i,
                     const std::vector<float>& scores) {
  const int32_t n = int32_t(scores.size());
  dsa::ShippedRow& row = s.shipped[i];
  row.begin = row.end = s.listed ? s.listed[i].begin : int32_t(i * s.row_room);
  float lowest = -INFINITY;
  if (s.filtered) {
    std::vector<float> sorted;
    for (const float x : scores) {
      if (!std::isnan(x)) sorted.push_back(x);
    }
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    const size_t reach = size_t(p.select.k) + 2;
    if (i % 3 != 0 && sorted.size() > reach) lowest = sorted[reach];
  }
  for (int32_t j = 0; j < n; ++j) {
    if (lowest > -INFINITY && !(scores[size_t(j)] >= lowest)) continue;
    s.scores[row.end] = scores[size_t(j)];
    if (s.keys) s.keys[row.end] = j;
    ++row.end;
  }
}

inline void send_row(const dsa::Shipment& s, int64_t i) {
  const dsa::ShippedRow row = s.shipped[i];
  s.host_shipped[i] = row;
  std::copy(s.scores + row.begin, s.scores + row.end, s.host_scores + row.begin);
}

inline void take_row(const dsa::IndexerTopkParams& p, const dsa::Shipment& s, int64_t i,
                     const dsa::Cut& cut) {
  const int64_t t = s.first_row + i;
  const dsa::SelectParams& select = p.select;
  const dsa::RowSpan span = p.indexer.rows.span(t);
  const auto key_at = [&](int32_t place) {
    return span.begin + (s.keys ? s.keys[place] : place - s.shipped[i].begin);
  };
  int32_t count = 0;
  for (int32_t place = s.shipped[i].begin; place < s.shipped[i].end; ++place) {
    const float x = s.scores[place];
    if (!(x > cut.score || (x == cut.score && place <= cut.place))) continue;
    const int64_t at = count++;
    if (select.indices.given()) {
      select.indices.row_as<int32_t>(t)[at * select.indices.stride[0]] =
          select.to_index(t, span, key_at(place));
    }
    if (select.slots.given()) {
      select.slots.row_as<int32_t>(t)[at * select.slots.stride[0]] =
          select.to_slot(span.request, key_at(place));
    }
    if (select.values.given()) select.values.row_as<float>(t)[at * select.values.stride[0]] = x;
  }
  const auto fill = [&](const dsa::RowTensor& tensor, auto value) {
    for (int64_t at = count; tensor.given() && at < tensor.extent[0]; ++at) {
      tensor.row_as<decltype(value)>(t)[at * tensor.stride[0]] = value;
    }
  };
  fill(select.indices, int32_t{-1});
  fill(select.slots, int32_t{-1});
  fill(select.values, -INFINITY);
  const bool none = cut.place < 0;
  if (select.counts.given()) *select.counts.row_as<int32_t>(t) = count;
  if (select.cut_score.given()) {
    *select.cut_score.row_as<float>(t) = none ? INFINITY : s.scores[cut.place];
  }
  if (select.cut_index.given()) {
    *select.cut_index.row_as<int32_t>(t) = none ? -1 : select.to_index(t, span, key_at(cut.place));
  }
}

}  // namespace fake
