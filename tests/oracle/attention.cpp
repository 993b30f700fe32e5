#include "oracle/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "oracle/attention_result.h"
#include "oracle/text.h"

namespace oracle {
namespace {

using Place = std::vector<int64_t>;  // indices on the leading axes of a cache
constexpr double kInf = std::numeric_limits<double>::infinity();

// The fields of one scope under one name.
struct Scope {
  int32_t layout, format, page_size, selection, k, slot_page_size, slot_page_stride;
  const dsa_tensor *kv, *kv2, *v, *kv_scale, *v_scale, *table, *indices, *counts;
  Cache cache;
};

Scope first_scope(const dsa_sparse_attn_desc& d) {
  return {d.key_layout,       d.key_format, d.page_size, d.selection, d.k,         d.slot_page_size,
          d.slot_page_stride, &d.kv,        &d.kv2,      &d.v,        &d.kv_scale, &d.v_scale,
          &d.block_table,     &d.indices,   &d.counts,   {}};
}

Scope second_scope(const dsa_sparse_attn_desc& d) {
  return {d.key_layout_b,
          d.key_format_b,
          d.page_size_b,
          d.selection_b,
          d.k_b,
          d.slot_page_size_b,
          d.slot_page_stride_b,
          &d.kv_b,
          &d.kv2_b,
          &d.v_b,
          &d.kv_scale_b,
          &d.v_scale_b,
          &d.block_table_b,
          &d.indices_b,
          &d.counts_b,
          {}};
}

bool packed_pages(const Scope& s) {
  return s.format == DSA_FORMAT_KV_FP8_656 && s.layout == DSA_LAYOUT_PAGES && s.kv->ndim == 2;
}

// Index on the cache's axes of a slot; empty when it lies outside.
std::vector<int64_t> find_slot(const Scope& s, int64_t slot) {
  if (slot < 0) return {};
  const bool pages = s.layout == DSA_LAYOUT_PAGES;
  const int64_t page_size = s.slot_page_size > 0 ? s.slot_page_size : pages ? s.cache.page_size : 1;
  const int64_t stride = s.slot_page_stride > 0 ? s.slot_page_stride : page_size;
  const int64_t page = slot / stride, row = slot % stride;
  if (row >= page_size) return {};
  if (pages) return page < s.cache.pages ? std::vector<int64_t>{page, row} : std::vector<int64_t>{};
  const int64_t at = page * page_size + row;
  return at < s.kv->shape[0] ? std::vector<int64_t>{at} : std::vector<int64_t>{};
}

double scale_at(const dsa_tensor& scale, const std::vector<int64_t>& at, int64_t d, int64_t width) {
  if (!given(scale)) return 1;
  if (scale.ndim == 1 && scale.shape[0] == 1) return number(scale, {0});
  if (scale.ndim == int(at.size())) return number(scale, at);
  std::vector<int64_t> index = at;
  index.push_back(d / (width / scale.shape[scale.ndim - 1]));
  return number(scale, index);
}

std::vector<double> plain_row(const dsa_tensor& t, const dsa_tensor& scale,
                              const std::vector<int64_t>& at, int64_t head) {
  const int64_t width = t.shape[t.ndim - 1];
  std::vector<int64_t> index = at;
  if (t.ndim == int(at.size()) + 2) index.push_back(head);
  index.push_back(0);
  std::vector<double> out;
  for (int64_t i = 0; i < width; ++i) {
    index.back() = i;
    out.push_back(number(t, index) * scale_at(scale, at, i, width));
  }
  return out;
}

std::vector<double> packed_row(const Scope& s, const std::vector<int64_t>& at) {
  const char* row = packed_pages(s) ? address(*s.kv, {at[0]}) + at[1] * 656 : address(*s.kv, at);
  std::vector<double> out;
  for (int i = 0; i < 512; ++i) {
    out.push_back(number_at(row + i, DSA_F8_E4M3FN) *
                  number_at(row + 512 + 4 * (i / 128), DSA_F32));
  }
  for (int i = 0; i < 64; ++i) out.push_back(number_at(row + 528 + 2 * i, DSA_BF16));
  return out;
}

struct Key {
  std::vector<double> key;  // both pieces after each other
  std::vector<double> value;
};

Key read_key(const Scope& s, const std::vector<int64_t>& at, int64_t head) {
  Key k;
  static const dsa_tensor none{};
  if (s.format == DSA_FORMAT_KV_FP8_656) {
    k.key = packed_row(s, at);
  } else {
    k.key = plain_row(*s.kv, *s.kv_scale, at, head);
  }
  k.value = given(*s.v) ? plain_row(*s.v, *s.v_scale, at, head) : k.key;
  if (given(*s.kv2)) {
    const std::vector<double> second = plain_row(*s.kv2, none, at, head);
    k.key.insert(k.key.end(), second.begin(), second.end());
  }
  return k;
}

bool visible(const Row& row, int64_t s) {
  return s >= row.begin && s < row.end && !row.hidden[size_t(s - row.begin)];
}

// Places of the keys that row t reads in the first scope, in order.
std::vector<Place> first_keys(const dsa_sparse_attn_desc& d, const Scope& s, const Row& row,
                              int64_t t) {
  std::vector<Place> out;
  const auto add = [&](int64_t key) {
    if (!visible(row, key)) return;
    std::vector<int64_t> at = s.cache.find(row.request, key);
    if (!at.empty()) out.push_back(std::move(at));
  };
  const bool based = given(d.index_base);
  const uint32_t base = based ? uint32_t(row_integer(d.index_base, t, {})) : 0;
  const int64_t used = given(d.counts) ? std::min<int64_t>(d.k, row_integer(d.counts, t, {})) : d.k;
  if (d.selection == DSA_SELECTION_ALL) {
    for (int64_t key = row.begin; key < row.end; ++key) add(key);
  } else if (d.selection == DSA_SELECTION_CUT) {
    const double cut = row_number(d.cut_score, t, {});
    const int32_t cut_index = int32_t(row_integer(d.cut_index, t, {}));
    if (cut == kInf && cut_index == -1) return out;
    const int64_t last =
        based ? int64_t(int32_t(uint32_t(cut_index) - base + uint32_t(row.begin))) : cut_index;
    for (int64_t key = row.begin; key < row.end && int64_t(out.size()) < d.k; ++key) {
      const int64_t column = d.flags & DSA_COLUMNS_FROM_BEGIN ? key - row.begin : key;
      const double score = row_number(d.scores, t, {column});
      if (score == -kInf && !(d.flags & DSA_SELECT_NEG_INF)) continue;
      if (score > cut || (score == cut && key <= last)) add(key);
    }
  } else if (d.selection == DSA_SELECTION_SLOTS) {
    for (int64_t j = 0; j < used; ++j) {
      std::vector<int64_t> at = find_slot(s, row_integer(d.indices, t, {j}));
      if (!at.empty()) out.push_back(std::move(at));
    }
  } else {
    const int64_t g = std::max(d.index_block, 1);
    for (int64_t j = 0; j < used; ++j) {
      const uint32_t written = uint32_t(row_integer(d.indices, t, {j}));
      if (g == 1) {
        add(int32_t(based ? written - base + uint32_t(row.begin) : written));
        continue;
      }
      const int64_t block = int32_t(written - base);
      if (block < 0) continue;
      for (int64_t key = row.begin + block * g; key < row.begin + (block + 1) * g; ++key) {
        const int64_t complete = row.begin + (row.end - row.begin) / g * g;
        if (d.flags & DSA_BLOCK_TAIL && key >= complete) continue;  // read below
        add(key);
      }
    }
    if (d.flags & DSA_BLOCK_TAIL && g > 1) {
      for (int64_t key = row.begin + (row.end - row.begin) / g * g; key < row.end; ++key) add(key);
    }
  }
  return out;
}

std::vector<Place> second_keys(const dsa_sparse_attn_desc& d, const Scope& s, int64_t request,
                               int64_t t) {
  std::vector<Place> out;
  int64_t begin = 0, end = s.cache.keys;
  if (given(d.row_end_b)) {
    if (given(d.row_begin_b)) begin = row_integer(d.row_begin_b, t, {});
    end = row_integer(d.row_end_b, t, {});
  }
  begin = std::clamp<int64_t>(begin, 0, s.cache.keys);
  end = std::clamp<int64_t>(end, begin, s.cache.keys);
  const auto add = [&](std::vector<int64_t> at) {
    if (!at.empty()) out.push_back(std::move(at));
  };
  if (d.selection_b == DSA_SELECTION_ALL) {
    for (int64_t key = begin; key < end; ++key) add(s.cache.find(request, key));
    return out;
  }
  const int64_t used =
      given(d.counts_b) ? std::min<int64_t>(d.k_b, row_integer(d.counts_b, t, {})) : d.k_b;
  for (int64_t j = 0; j < used; ++j) {
    const int64_t entry = row_integer(d.indices_b, t, {j});
    if (d.selection_b == DSA_SELECTION_SLOTS) {
      add(find_slot(s, entry));
    } else if (entry >= begin && entry < end) {
      add(s.cache.find(request, entry));
    }
  }
  return out;
}

int64_t kv_heads(const Scope& s) {
  if (s.format == DSA_FORMAT_KV_FP8_656) return 1;
  const int rank = s.layout == DSA_LAYOUT_ROWS ? 1 : 2;
  return s.kv->ndim == rank + 2 ? s.kv->shape[rank] : 1;
}

std::vector<double> query(const dsa_sparse_attn_desc& d, int64_t t, int64_t h) {
  std::vector<double> q;
  const double scale = !given(d.q_scale)     ? 1
                       : d.q_scale.ndim == 1 ? number(d.q_scale, {0})
                                             : row_number(d.q_scale, t, {h});
  for (int64_t i = 0; i < d.q.shape[d.q.ndim - 1]; ++i) {
    q.push_back(row_number(d.q, t, {h, i}) * scale);
  }
  if (given(d.q2)) {
    for (int64_t i = 0; i < d.q2.shape[d.q2.ndim - 1]; ++i) {
      q.push_back(row_number(d.q2, t, {h, i}));
    }
  }
  return q;
}

// Both scopes of a call, with their caches.
struct Scopes {
  Scope scope[2];
  int count;
  explicit Scopes(const dsa_sparse_attn_desc& d)
      : scope{first_scope(d), second_scope(d)}, count(given(d.kv_b) ? 2 : 1) {
    for (int i = 0; i < count; ++i) {
      Scope& s = scope[i];
      s.cache = make_cache(s.layout, s.page_size, *s.kv, *s.table, packed_pages(s));
    }
  }
};

Row attention_row(const dsa_sparse_attn_desc& d, const Scopes& scopes, int64_t t) {
  const int64_t batch = batch_of(d, d.key_layout == DSA_LAYOUT_BATCH ? d.kv.shape[0] : 0);
  const int64_t columns = given(d.scores) ? d.scores.shape[d.scores.ndim - 1] : -1;
  return find_row(d, t, row_count(d.q, 2), batch, scopes.scope[0].cache.keys, columns);
}

std::vector<Place> selected_places(const dsa_sparse_attn_desc& d, const Scopes& scopes, int which,
                                   const Row& row, int64_t t) {
  const Scope& s = scopes.scope[which];
  return which == 0 ? first_keys(d, s, row, t) : second_keys(d, s, row.request, t);
}

}  // namespace

std::vector<std::vector<int64_t>> read_places(const dsa_sparse_attn_desc& d, int scope) {
  const Scopes scopes(d);
  std::vector<Place> all;
  for (int64_t t = 0; t < row_count(d.q, 2) && scope < scopes.count; ++t) {
    const Row row = attention_row(d, scopes, t);
    for (Place& at : selected_places(d, scopes, scope, row, t)) all.push_back(std::move(at));
  }
  return all;
}

std::string check_sparse_attn(const dsa_sparse_attn_desc& d, double p_unit) {
  const int64_t rows = row_count(d.q, 2);
  const int64_t heads = d.q.shape[d.q.ndim - 2];
  const int64_t value_dim = given(d.out) ? d.out.shape[d.out.ndim - 1] : 0;
  const Scopes both(d);
  const Scope* const scopes = both.scope;
  for (int64_t t = 0; t < rows; ++t) {
    const Row row = attention_row(d, both, t);
    std::vector<Place> places[2];
    for (int i = 0; i < both.count; ++i) places[i] = selected_places(d, both, i, row, t);
    std::vector<Key> keys[2];  // of the KV heads that head h reads
    for (int64_t h = 0; h < heads; ++h) {
      const std::vector<double> q = query(d, t, h);
      std::vector<double> logits, sizes;
      std::vector<const std::vector<double>*> values;
      for (int i = 0; i < both.count; ++i) {
        const int64_t group = heads / kv_heads(scopes[i]);
        if (h % group == 0) {
          keys[i].clear();
          for (const Place& at : places[i]) keys[i].push_back(read_key(scopes[i], at, h / group));
        }
        for (const Key& key : keys[i]) {
          double dot = 0, size = 0;
          for (size_t e = 0; e < q.size(); ++e) {
            dot += q[e] * key.key[e];
            size += std::fabs(q[e] * key.key[e]);
          }
          logits.push_back(d.scale * dot);
          sizes.push_back(std::fabs(d.scale) * size);
          values.push_back(&key.value);
        }
      }
      const double sink = given(d.sink) ? number(d.sink, {h}) : -kInf;
      const HeadResult want = attend(logits, sizes, values, value_dim, sink);
      const std::string wrong = check_head({&d.out, &d.lse, &d.max}, t, h, want, sink, d.flags,
                                           p_unit, int64_t(q.size()));
      if (!wrong.empty()) return wrong;
    }
  }
  return "";
}

std::string check_merge_lse(const dsa_merge_lse_desc& d) {
  const int64_t parts = d.partial_lse.shape[0];
  const int64_t heads = d.partial_lse.shape[d.partial_lse.ndim - 1];
  const int64_t value_dim = given(d.out) ? d.out.shape[d.out.ndim - 1] : 0;
  const auto part_of = [](dsa_tensor t, int64_t p) {
    t.data = address(t, {p});
    t.ndim -= 1;
    for (int i = 0; i < 4; ++i) t.shape[i] = t.shape[i + 1], t.stride[i] = t.stride[i + 1];
    return t;
  };
  const int64_t rows = d.partial_lse.ndim == 3 ? d.partial_lse.shape[1]
                                               : d.partial_lse.shape[1] * d.partial_lse.shape[2];
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t h = 0; h < heads; ++h) {
      std::vector<double> logits, sizes;
      std::vector<std::vector<double>> parts_out;
      std::vector<const std::vector<double>*> values;
      double most = -kInf;
      for (int64_t p = 0; p < parts; ++p) {
        double lse = row_number(part_of(d.partial_lse, p), t, {h});
        if (d.flags & DSA_LSE_EMPTY_POS_INF && lse == kInf) lse = -kInf;
        if (lse == -kInf) continue;  // an empty part does not count, whatever it holds
        if (given(d.max)) most = std::max(most, row_number(part_of(d.partial_max, p), t, {h}));
        logits.push_back(d.flags & DSA_LSE_BASE2 ? lse * std::log(2.0) : lse);
        sizes.push_back(std::fabs(logits.back()));
        parts_out.emplace_back();
        for (int64_t i = 0; i < value_dim; ++i) {
          parts_out.back().push_back(row_number(part_of(d.partial_out, p), t, {h, i}));
        }
      }
      for (const std::vector<double>& out : parts_out) values.push_back(&out);
      const double sink = given(d.sink) ? number(d.sink, {h}) : -kInf;
      HeadResult want = attend(logits, sizes, values, value_dim, sink);
      want.max = most;
      const std::string wrong =
          check_head({&d.out, &d.lse, &d.max}, t, h, want, sink, d.flags, 0, 1);
      if (!wrong.empty()) return wrong;
    }
  }
  return "";
}

}  // namespace oracle
