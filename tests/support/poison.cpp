#include "support/poison.h"

#include <cstring>
#include <set>
#include <vector>

#include "oracle/attention.h"
#include "oracle/indexer.h"
#include "support/element.h"

namespace support {
namespace {

using Place = std::vector<int64_t>;
using Places = std::set<Place>;

bool has_broadcast(const dsa_tensor& t) {
  for (int i = 0; i < t.ndim; ++i) {
    if (t.stride[i] == 0 && t.shape[i] > 1) return true;
  }
  return false;
}

// Elements [place..., ...] of every place that is not in `used`. Bytes of 0xff are NaN in every
// float type.
void poison(const dsa_tensor& t, size_t rank, const Places& used) {
  // Scales for all keys have fewer axes; of broadcast tensors rows share their bytes.
  if (t.ndim < int(rank) || has_broadcast(t)) return;
  if (rank == 1 && t.ndim == 1 && t.shape[0] == 1) return;
  each_element(t, [&](char* at, const int64_t* index) {
    if (!used.count(Place(index, index + rank))) {
      std::memset(at, 0xff, size_t(dtype_bytes(t.dtype)));
    }
  });
}

// A [pages, bytes] cache: `bytes` bytes from `first` on belong to each row of a page.
void poison_page_rows(const dsa_tensor& t, int64_t page_size, int64_t first, int64_t bytes,
                      const Places& used) {
  if (has_broadcast(t)) return;
  for (int64_t page = 0; page < t.shape[0]; ++page) {
    for (int64_t row = 0; row < page_size; ++row) {
      if (used.count({page, row})) continue;
      const int64_t index[2] = {page, first + row * bytes};
      std::memset(at(t, index), 0xff, size_t(bytes));
    }
  }
}

template <class Desc>
void poison_index_keys(const Desc& d, int64_t columns) {
  const std::vector<Place> seen = oracle::seen_places(d, columns);
  const Places used(seen.begin(), seen.end());
  if (d.key_format == DSA_FORMAT_KEY_PAGE_132) {
    const int64_t dim = d.q.shape[d.q.ndim - 1];
    poison_page_rows(d.keys, d.page_size, 0, dim, used);
    poison_page_rows(d.keys, d.page_size, d.page_size * dim, 4, used);
    return;
  }
  const size_t rank = d.key_layout == DSA_LAYOUT_ROWS ? 1 : 2;
  poison(d.keys, rank, used);
  poison(d.k_scale, rank, used);
}

void poison_scope(const dsa_sparse_attn_desc& d, int scope, int32_t layout, int32_t format,
                  int32_t page_size, const dsa_tensor& kv,
                  std::initializer_list<const dsa_tensor*> others) {
  const std::vector<Place> read = oracle::read_places(d, scope);
  const Places used(read.begin(), read.end());
  const size_t rank = layout == DSA_LAYOUT_ROWS ? 1 : 2;
  if (format == DSA_FORMAT_KV_FP8_656 && layout == DSA_LAYOUT_PAGES && kv.ndim == 2) {
    poison_page_rows(kv, page_size, 0, 656, used);
    return;
  }
  poison(kv, rank, used);
  for (const dsa_tensor* t : others) poison(*t, rank, used);
}

}  // namespace

void poison_unread(const dsa_indexer_desc& d) {
  poison_index_keys(d, d.scores.shape[d.scores.ndim - 1]);
}

void poison_unread(const dsa_indexer_topk_desc& d) { poison_index_keys(d, -1); }

void poison_unread(const dsa_sparse_attn_desc& d) {
  poison_scope(d, 0, d.key_layout, d.key_format, d.page_size, d.kv,
               {&d.kv2, &d.v, &d.kv_scale, &d.v_scale});
  if (d.kv_b.ndim == 0) return;
  poison_scope(d, 1, d.key_layout_b, d.key_format_b, d.page_size_b, d.kv_b,
               {&d.kv2_b, &d.v_b, &d.kv_scale_b, &d.v_scale_b});
}

}  // namespace support
