// What dsa_indexer and dsa_indexer_topk get in a case.
#pragma once

#include "cases.h"

namespace bench {

constexpr int64_t kIndexerPage = 64;  // keys a packed page

// q, keys and w of a case, and what the library is told about them. The keys of all requests are
// one axis; e4m3 keys have a scale each.
struct IndexerInputs {
  Array q, keys, w, k_scale, block_table, seq_lens;

  IndexerInputs(const Setup& setup, const IndexerCase& c);

  template <class Desc>
  void put(const IndexerCase& c, Desc& desc) const {
    desc.q = q.tensor();
    desc.keys = keys.tensor();
    desc.w = w.tensor();
    desc.k_scale = k_scale.tensor();
    if (c.batch > 0) {
      desc.seq_lens = seq_lens.tensor();
      if (!c.packed) {  // [B, S, Di]
        const int64_t shape[] = {c.batch, c.keys, c.dim};
        desc.key_layout = DSA_LAYOUT_BATCH;
        desc.keys = dsa_tensor_make(keys.data<char>(), c.key_dtype, 3, shape);
        if (k_scale.given())
          desc.k_scale = dsa_tensor_2d(k_scale.data<char>(), DSA_F32, c.batch, c.keys);
      }
    } else if (c.causal) {
      desc.flags |= DSA_CAUSAL;
      desc.offset = c.keys - c.queries;
    }
    if (c.packed) {
      desc.key_layout = DSA_LAYOUT_PAGES;
      desc.key_format = DSA_FORMAT_KEY_PAGE_132;
      desc.page_size = int32_t(kIndexerPage);
      desc.block_table = block_table.tensor();
    }
  }

  // Element d of key s of all requests' keys.
  float key(const IndexerCase& c, int64_t s, int64_t d) const;

 private:
  void fill_real(const Setup& setup, const IndexerCase& c, Array& plain);
  void pack(const IndexerCase& c, const Array& plain);
};

}  // namespace bench
