// Random attention calls over random caches, with the physical rows that every query row selects by
// the words of the manual.
#pragma once

#include "attention_data.h"

namespace {

// One cache: rows by physical number, and where the key of a request's position lies.
struct Cache {
  int layout = DSA_LAYOUT_ROWS;
  int page = 1, outer = 1, inner = 1;  // physical row = outer index * inner + inner index
  int capacity = 0;                    // positions a request has
  int heads = 1, d = 0, d2 = 0, dv = 0;
  Tensor kv, kv2, v, kv_scale, v_scale, table;

  char *at(const Tensor &x, int row, int head, int i) const {
    int64_t offset = 0;
    int axis = 0;
    if (layout != DSA_LAYOUT_ROWS) offset += row / inner * x.view.stride[axis++];
    offset += (layout == DSA_LAYOUT_ROWS ? row : row % inner) * x.view.stride[axis++];
    if (x.view.ndim > axis + 1) offset += head * x.view.stride[axis++];
    return static_cast<char *>(x.view.data) +
           (offset + i * x.view.stride[axis]) * bytes_of(x.view.dtype);
  }
  double scale(const Tensor &s, int row, int i, int width) const {
    if (!s.given()) return 1;
    if (s.view.ndim == 1 && s.view.shape[0] == 1) return s.get({0});
    int64_t offset = 0;
    int axis = 0;
    if (layout != DSA_LAYOUT_ROWS) offset += row / inner * s.view.stride[axis++];
    offset += (layout == DSA_LAYOUT_ROWS ? row : row % inner) * s.view.stride[axis++];
    if (s.view.ndim > axis) offset += i / (width / s.view.shape[axis]) * s.view.stride[axis];
    return reinterpret_cast<const float *>(s.view.data)[offset];
  }
  double key(int row, int head, int i) const {
    if (i >= d) return read(kv2.view.dtype, at(kv2, row, head, i - d));
    return read(kv.view.dtype, at(kv, row, head, i)) * scale(kv_scale, row, i, d);
  }
  double value(int row, int head, int i) const {
    if (v.given()) return read(v.view.dtype, at(v, row, head, i)) * scale(v_scale, row, i, dv);
    return key(row, head, i);
  }
  int place(int request, int64_t s) const {
    if (layout == DSA_LAYOUT_BATCH) return int(request * inner + s);
    if (layout == DSA_LAYOUT_ROWS) return int(s);
    const int64_t number = table.integer({request, s / page});
    return number < 0 || number >= outer ? -1 : int(number * page + s % page);
  }
  void poison(int row) {
    for (int h = 0; h < heads; ++h) {
      for (int i = 0; i < d; ++i) put(kv.view.dtype, at(kv, row, h, i), kNan);
      for (int i = 0; i < d2; ++i) put(kv2.view.dtype, at(kv2, row, h, i), kNan);
      for (int i = 0; i < dv && v.given(); ++i) put(v.view.dtype, at(v, row, h, i), kNan);
    }
  }
};

struct Shape {
  int batch, heads, d, d2, dv, dtype;
  bool apart, bf16_only;
};

Cache make_cache(Random &rng, const Shape &s) {
  Cache c;
  c.layout = rng.any<int>({DSA_LAYOUT_ROWS, DSA_LAYOUT_PAGES, DSA_LAYOUT_BATCH});
  c.d = s.d;
  c.d2 = s.d2;
  c.dv = s.dv;
  c.heads = s.heads;
  std::vector<int64_t> axis;
  if (c.layout == DSA_LAYOUT_PAGES) {
    c.page = rng.any<int>({1, 3, 16});
    c.outer = rng.between(2, 60);
    c.inner = c.page;
    const int pages = rng.between(1, 20);
    c.capacity = pages * c.page;
    c.table = Tensor(rng, DSA_I32, {s.batch, pages});
    for (int r = 0; r < s.batch; ++r) {
      for (int i = 0; i < pages; ++i) {
        c.table.set_integer({r, i}, rng.one_in(6) ? rng.garbage() : rng.below(c.outer));
      }
    }
    axis = {c.outer, c.inner};
  } else {
    c.outer = c.layout == DSA_LAYOUT_BATCH ? s.batch : 1;
    c.inner = c.capacity = rng.one_in(8) ? rng.between(600, 1500) : rng.between(1, 90);
    if (c.layout == DSA_LAYOUT_BATCH) axis.push_back(c.outer);
    axis.push_back(c.inner);
  }
  const auto tensor = [&](int width) {
    std::vector<int64_t> shape = axis;
    if (s.heads > 1 || rng.one_in(4)) shape.push_back(s.heads);
    shape.push_back(width);
    return Tensor(rng, s.dtype, shape, s.bf16_only);
  };
  const auto fill = [&](Tensor &x, int width) {
    for (int row = 0; row < c.outer * c.inner; ++row) {
      for (int h = 0; h < s.heads; ++h) {
        for (int i = 0; i < width; ++i) put(s.dtype, c.at(x, row, h, i), rng.normal());
      }
    }
  };
  const auto scales = [&](int width) {
    std::vector<int64_t> shape = {1};
    if (!rng.one_in(3)) {
      shape = axis;
      if (rng.one_in(2) && width % 2 == 0) shape.push_back(rng.any<int>({1, 2, width}));
      if (shape.size() == 1 && shape[0] == 1) shape = {1};
    }
    Tensor x(rng, DSA_F32, shape);
    float *p = reinterpret_cast<float *>(x.bytes.data());
    for (size_t i = 0; i < x.bytes.size() / 4; ++i) p[i] = float(0.5 + rng.below(100) * 0.01);
    return x;
  };
  c.kv = tensor(s.d);
  fill(c.kv, s.d);
  if (s.d2 > 0) {
    c.kv2 = tensor(s.d2);
    fill(c.kv2, s.d2);
  }
  if (s.apart) {
    c.v = tensor(s.dv);
    fill(c.v, s.dv);
  }
  if (!s.bf16_only && rng.one_in(3)) c.kv_scale = scales(s.d);
  if (!s.bf16_only && s.apart && rng.one_in(3)) c.v_scale = scales(s.dv);
  return c;
}

// A random call, and for every row the physical rows that it selects, by the manual's words.
struct Call {
  dsa_sparse_attn_desc desc = dsa_sparse_attn_desc_init();
  int rows, heads, batch, n;  // n: rows a request
  Cache cache[2];
  int scopes = 1;
  Tensor q, q2, q_scale, row_request, begin, end, lens, mask, base, indices, counts, scores;
  Tensor cut_score, cut_index, begin_b, end_b, indices_b, counts_b, sink;
  std::vector<std::vector<int>> selected[2];  // [scope][row]

  explicit Call(Random &rng, bool bf16_only, bool long_rows);
  void visible(int t, int64_t *first, int64_t *last, int *request) const;
  int64_t column(int t, int64_t s, int64_t first) const {
    (void)t;
    return (desc.flags & DSA_COLUMNS_FROM_BEGIN) ? s - first : s;
  }
  bool shown(int t, int64_t s, int64_t first) const {
    if (!mask.given()) return true;
    const char *p = mask.at({t, column(t, s, first)});
    if (mask.view.dtype == DSA_U8) return *p != 0;
    const double x = read(mask.view.dtype, p);
    const double lowest = mask.view.dtype == DSA_F32   ? -3.40282346638528859812e38
                          : mask.view.dtype == DSA_F16 ? -65504.0
                                                       : -3.38953138925153547590e38;
    return x != -kInf && x != lowest;
  }
};

void Call::visible(int t, int64_t *first, int64_t *last, int *request) const {
  int r = row_request.given() ? std::clamp(row_request.integer({t}), 0, batch - 1) : t / n;
  int64_t low = 0, high = cache[0].capacity;
  const int64_t ratio = desc.ratio ? desc.ratio : 1;
  if (end.given()) {
    if (begin.given()) low = begin.integer({t});
    high = end.integer({t});
  } else if (lens.given()) {
    const int64_t next = desc.next_n ? desc.next_n : n;
    high = std::max<int64_t>(0, int64_t{lens.integer({r})} - next + 1 + t % next) / ratio;
  } else if (desc.flags & DSA_CAUSAL) {
    high = std::max<int64_t>(0, desc.offset + t % n + 1) / ratio;
  }
  low = std::clamp<int64_t>(low, 0, cache[0].capacity);
  high = std::clamp<int64_t>(high, low, cache[0].capacity);
  if (desc.max_keys > 0) high = std::min(high, low + desc.max_keys);
  int64_t columns = -1;
  if (scores.given()) columns = scores.view.shape[1];
  if (mask.given())
    columns = columns < 0 ? mask.view.shape[1] : std::min(columns, mask.view.shape[1]);
  if (columns >= 0) {
    high = std::min(high, (desc.flags & DSA_COLUMNS_FROM_BEGIN) ? low + columns : columns);
  }
  *first = low;
  *last = std::max(low, high);
  *request = r;
}

Call::Call(Random &rng, bool bf16_only, bool long_rows) {
  batch = rng.between(1, 3);
  n = rng.between(1, 3);
  rows = batch * n;
  const int kv_heads = rng.any<int>({1, 1, 2, 3});
  const int per_head = bf16_only ? rng.between(4, 18) : rng.between(1, 18);
  heads = kv_heads * per_head;
  Shape s;
  s.batch = batch;
  s.heads = kv_heads;
  s.d = rng.between(1, 40);
  s.d2 = rng.one_in(3) ? rng.between(1, 20) : 0;
  s.apart = rng.one_in(2);
  s.dv = s.apart ? rng.between(1, 40) : rng.between(1, s.d);
  s.bf16_only = bf16_only;
  s.dtype = bf16_only ? DSA_BF16 : rng.any<int>({DSA_F32, DSA_BF16, DSA_F16, DSA_F8_E4M3FN});
  cache[0] = make_cache(rng, s);
  Cache &c = cache[0];
  dsa_sparse_attn_desc &d = desc;
  d.batch = batch;
  d.scale = float(rng.any<double>({0.3, -0.2, 0.1}));
  const int q_dtype = bf16_only ? DSA_BF16 : rng.any<int>({DSA_F32, DSA_BF16, DSA_F16});
  q = Tensor(rng, q_dtype, {rows, heads, s.d});
  if (s.d2 > 0) q2 = Tensor(rng, q_dtype, {rows, heads, s.d2});
  for (int t = 0; t < rows; ++t) {
    for (int h = 0; h < heads; ++h) {
      for (int i = 0; i < s.d; ++i) q.set({t, h, i}, rng.normal());
      for (int i = 0; i < s.d2; ++i) q2.set({t, h, i}, rng.normal());
    }
  }
  if (!bf16_only && rng.one_in(3)) {
    q_scale = rng.one_in(2) ? Tensor(rng, DSA_F32, {1}) : Tensor(rng, DSA_F32, {rows, heads});
    float *p = reinterpret_cast<float *>(q_scale.bytes.data());
    for (size_t i = 0; i < q_scale.bytes.size() / 4; ++i) p[i] = float(0.5 + rng.below(100) * 0.01);
  }
  d.selection = rng.any<int>(
      {DSA_SELECTION_INDICES, DSA_SELECTION_SLOTS, DSA_SELECTION_CUT, DSA_SELECTION_ALL});
  if (d.selection == DSA_SELECTION_SLOTS && c.layout == DSA_LAYOUT_BATCH) {
    d.selection = DSA_SELECTION_INDICES;
  }
  const bool slots = d.selection == DSA_SELECTION_SLOTS;
  d.key_layout = c.layout;

  // Visibility.
  const int way = rng.below(4);
  if (way != 3 && way != 2 && rng.one_in(3)) {
    row_request = Tensor(rng, DSA_I32, {rows});
    for (int t = 0; t < rows; ++t) {
      row_request.set_integer({t}, rng.one_in(8) ? rng.garbage() : rng.below(batch));
    }
  }
  if (way == 1) {
    end = Tensor(rng, DSA_I32, {rows});
    if (rng.one_in(2)) begin = Tensor(rng, DSA_I32, {rows});
    for (int t = 0; t < rows; ++t) {
      end.set_integer({t}, rng.one_in(8) ? rng.garbage() : rng.below(c.capacity + 2));
      if (begin.given()) {
        begin.set_integer({t}, rng.one_in(8) ? rng.garbage() : rng.below(c.capacity / 2 + 1));
      }
    }
  } else if (way == 2) {
    lens = Tensor(rng, DSA_I32, {batch});
    for (int r = 0; r < batch; ++r) {
      lens.set_integer({r}, rng.one_in(8) ? rng.garbage() : rng.below(c.capacity + 2));
    }
    d.ratio = rng.any<int>({0, 1, 4});
  } else if (way == 3) {
    d.flags |= DSA_CAUSAL;
    d.offset = rng.between(-1, c.capacity);
    d.ratio = rng.any<int>({0, 2});
  }
  if (rng.one_in(6)) d.max_keys = rng.between(1, 60);
  const int64_t columns = std::max(1, c.capacity - rng.below(3));
  if (rng.one_in(3)) d.flags |= DSA_COLUMNS_FROM_BEGIN;
  if (!slots && rng.one_in(3)) {
    const int dtype = rng.any<int>({DSA_U8, DSA_F32, DSA_F16, DSA_BF16});
    mask = Tensor(rng, dtype, {rows, columns});
    for (int t = 0; t < rows; ++t) {
      for (int64_t j = 0; j < columns; ++j) {
        const bool hide = rng.one_in(3);
        if (dtype == DSA_U8) {
          *mask.at({t, j}) = hide ? 0 : char(rng.between(1, 255));
        } else if (hide && rng.one_in(2)) {
          const uint32_t lowest = dtype == DSA_F32   ? 0xff7fffffu
                                  : dtype == DSA_F16 ? 0xfbffu
                                                     : 0xff7fu;
          memcpy(mask.at({t, j}), &lowest, size_t(bytes_of(dtype)));
        } else {
          mask.set({t, j}, hide ? -kInf : rng.normal());
        }
      }
    }
  }
  if (rng.one_in(3) && !slots) {
    base = Tensor(rng, DSA_I32, {rows});
    for (int t = 0; t < rows; ++t)
      base.set_integer({t}, rng.one_in(4) ? rng.garbage() : rng.below(50));
  }

  // Selection.
  if (d.selection == DSA_SELECTION_INDICES && rng.one_in(3)) {
    d.index_block = rng.any<int>({2, 4, 5, 300});
    if (rng.one_in(2)) d.flags |= DSA_BLOCK_TAIL;
  }
  const int64_t block = d.index_block ? d.index_block : 1;
  if (d.selection != DSA_SELECTION_ALL) {
    d.k = long_rows ? rng.between(500, 700) : rng.between(1, 50);
  }
  if (d.selection == DSA_SELECTION_SLOTS) {
    const int page = c.layout == DSA_LAYOUT_PAGES ? c.page : rng.any<int>({0, 4});
    d.slot_page_size = page;
    d.slot_page_stride = rng.one_in(2) ? 0 : std::max(page, 1) + rng.below(3);
  }
  if (d.selection == DSA_SELECTION_INDICES || slots) {
    indices = Tensor(rng, DSA_I32, {rows, d.k + rng.below(3)});
    if (rng.one_in(2)) counts = Tensor(rng, DSA_I32, {rows});
  }
  if (d.selection == DSA_SELECTION_CUT) {
    const int dtype = rng.any<int>({DSA_F32, DSA_F32, DSA_BF16, DSA_F16});
    scores = Tensor(rng, dtype, {rows, columns}, rng.one_in(2));
    cut_score = Tensor(rng, DSA_F32, {rows});
    cut_index = Tensor(rng, DSA_I32, {rows});
    if (rng.one_in(3)) d.flags |= DSA_SELECT_NEG_INF;
  }
  selected[0].resize(rows);
  selected[1].resize(rows);
  for (int t = 0; t < rows; ++t) {
    int64_t first, last;
    int r;
    visible(t, &first, &last, &r);
    std::vector<int> &list = selected[0][t];
    const auto add = [&](int64_t s) {
      if (s < first || s >= last || !shown(t, s, first)) return false;
      const int row = c.place(r, s);
      if (row >= 0) list.push_back(row);
      return row >= 0;
    };
    const uint32_t shift = base.given() ? uint32_t(base.integer({t})) : 0;
    const auto position = [&](int32_t index) -> int64_t {
      if (block > 1) return int32_t(uint32_t(index) - shift);
      return base.given() ? int32_t(uint32_t(index) - shift + uint32_t(first)) : index;
    };
    const auto written = [&](int64_t s) {
      if (block > 1) return int32_t(uint32_t(s) + shift);
      return base.given() ? int32_t(uint32_t(s) - uint32_t(first) + shift) : int32_t(s);
    };
    if (counts.given()) counts.set_integer({t}, rng.one_in(6) ? rng.garbage() : rng.below(d.k + 3));
    const int used = counts.given() ? std::clamp(counts.integer({t}), 0, d.k) : d.k;
    for (int j = 0; indices.given() && j < indices.view.shape[1]; ++j) {
      const int limit = slots ? c.outer * c.inner * 2 + 2 : int(c.capacity / block) + 2;
      const int x = rng.below(limit);
      indices.set_integer({t, j}, rng.one_in(9) ? rng.garbage() : slots ? x : written(x));
      if (j >= used) continue;
      const int32_t index = indices.integer({t, j});
      if (slots) {
        const int page = d.slot_page_size ? d.slot_page_size : 1;
        const int stride = d.slot_page_stride ? d.slot_page_stride : page;
        if (index < 0 || index % stride >= page) continue;
        const int64_t row = int64_t{index / stride} * page + index % stride;
        if (row < c.outer * c.inner) list.push_back(int(row));
      } else if (block == 1) {
        add(position(index));
      } else if (position(index) >= 0) {
        const bool complete = position(index) < (last - first) / block;
        if ((d.flags & DSA_BLOCK_TAIL) && !complete) continue;
        for (int64_t i = 0; i < block; ++i) add(first + position(index) * block + i);
      }
    }
    if (d.flags & DSA_BLOCK_TAIL) {
      for (int64_t s = first + (last - first) / block * block; s < last; ++s) add(s);
    }
    if (d.selection == DSA_SELECTION_ALL) {
      for (int64_t s = first; s < last; ++s) add(s);
    }
    if (d.selection == DSA_SELECTION_CUT) {
      for (int64_t j = 0; j < columns; ++j) {
        const double x = rng.one_in(9) ? rng.any<double>({kNan, -kInf, kInf}) : rng.below(9) - 4.0;
        scores.set({t, j}, x);
      }
      const double cut = rng.one_in(5) ? rng.any<double>({-kInf, kInf}) : rng.below(9) - 4.0;
      const int64_t at = rng.below(c.capacity + 1) - 1;
      cut_score.set({t}, cut);
      cut_index.set_integer({t}, at < 0 ? -1 : written(at));
      const int64_t last_equal = position(cut_index.integer({t}));
      for (int64_t s = first; s < last && int(list.size()) < d.k; ++s) {
        const double x = scores.get({t, column(t, s, first)});
        if (cut_index.integer({t}) == -1 && cut == kInf) break;
        const bool pass = x > cut || (x == cut && s <= last_equal);
        if (!pass || (x == -kInf && !(d.flags & DSA_SELECT_NEG_INF))) continue;
        add(s);
      }
    }
  }

  if (rng.one_in(3)) {
    scopes = 2;
    Shape b = s;
    if (!bf16_only && rng.one_in(2)) b.dtype = DSA_BF16;
    cache[1] = make_cache(rng, b);
    Cache &other = cache[1];
    d.key_layout_b = other.layout;
    d.selection_b = rng.any<int>({DSA_SELECTION_INDICES, DSA_SELECTION_ALL});
    if (rng.one_in(2)) {
      end_b = Tensor(rng, DSA_I32, {rows});
      begin_b = Tensor(rng, DSA_I32, {rows});
    }
    if (d.selection_b == DSA_SELECTION_INDICES) {
      d.k_b = rng.between(1, 20);
      indices_b = Tensor(rng, DSA_I32, {rows, d.k_b});
      if (rng.one_in(2)) counts_b = Tensor(rng, DSA_I32, {rows});
    }
    for (int t = 0; t < rows; ++t) {
      int64_t first = 0, last = other.capacity;
      int64_t unused_first, unused_last;
      int r;
      visible(t, &unused_first, &unused_last, &r);
      if (end_b.given()) {
        begin_b.set_integer({t}, rng.below(other.capacity));
        end_b.set_integer({t}, rng.below(other.capacity + 2));
        first = std::min<int64_t>(begin_b.integer({t}), other.capacity);
        last = std::clamp<int64_t>(end_b.integer({t}), first, other.capacity);
      }
      const auto add = [&](int64_t p) {
        const int row = p >= first && p < last ? other.place(r, p) : -1;
        if (row >= 0) selected[1][t].push_back(row);
      };
      if (counts_b.given()) counts_b.set_integer({t}, rng.below(d.k_b + 2));
      for (int j = 0; j < d.k_b; ++j) {
        indices_b.set_integer({t, j},
                              rng.one_in(9) ? rng.garbage() : rng.below(other.capacity + 2));
        if (!counts_b.given() || j < counts_b.integer({t})) add(indices_b.integer({t, j}));
      }
      for (int64_t p = first; d.selection_b == DSA_SELECTION_ALL && p < last; ++p) add(p);
    }
  }
  if (rng.one_in(2)) {
    sink = Tensor(rng, DSA_F32, {heads});
    for (int h = 0; h < heads; ++h) {
      sink.set({h}, rng.one_in(5) ? rng.any<double>({-kInf, kInf, 90.0}) : rng.normal());
    }
  }
  if (rng.one_in(3)) d.flags |= DSA_LSE_BASE2;
  if (rng.one_in(3)) d.flags |= DSA_LSE_WITH_SINK;
  if (rng.one_in(3)) d.flags |= DSA_LSE_EMPTY_POS_INF;

  for (int i = 0; i < scopes; ++i) {
    std::vector<bool> read(size_t(cache[i].outer * cache[i].inner));
    for (const auto &list : selected[i]) {
      for (int row : list) read[size_t(row)] = true;
    }
    for (size_t row = 0; row < read.size(); ++row) {
      if (!read[row]) cache[i].poison(int(row));
    }
  }
  d.q = q.view, d.q2 = q2.view, d.q_scale = q_scale.view, d.row_request = row_request.view;
  d.row_begin = begin.view, d.row_end = end.view, d.seq_lens = lens.view, d.mask = mask.view;
  d.index_base = base.view, d.indices = indices.view, d.counts = counts.view;
  d.scores = scores.view, d.cut_score = cut_score.view, d.cut_index = cut_index.view;
  d.sink = sink.view;
  d.kv = c.kv.view, d.kv2 = c.kv2.view, d.v = c.v.view, d.kv_scale = c.kv_scale.view;
  d.v_scale = c.v_scale.view, d.block_table = c.table.view;
  if (scopes == 2) {
    const Cache &b = cache[1];
    d.kv_b = b.kv.view, d.kv2_b = b.kv2.view, d.v_b = b.v.view, d.kv_scale_b = b.kv_scale.view;
    d.v_scale_b = b.v_scale.view, d.block_table_b = b.table.view;
    d.row_begin_b = begin_b.view, d.row_end_b = end_b.view;
    d.indices_b = indices_b.view, d.counts_b = counts_b.view;
  }
}

}  // namespace
