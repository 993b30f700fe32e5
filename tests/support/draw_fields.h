// Draws the fields that all operations share (section 5 of dsa.h) into any descriptor.
#pragma once

#include <algorithm>
#include <vector>

#include "support/arena.h"
#include "support/element.h"

namespace support {

// Rows and requests of a call.
struct Frame {
  int64_t rows = 0;       // T
  int64_t batch = 1;      // B
  bool split = false;     // leading axes [B, T/B]
  bool by_table = false;  // row_request
};

inline std::vector<int64_t> row_shape(Random& random, const Frame& f,
                                      std::initializer_list<int64_t> inner) {
  std::vector<int64_t> shape{f.rows};
  if (f.split && random.chance(0.7)) shape = {f.batch, f.rows / f.batch};
  shape.insert(shape.end(), inner.begin(), inner.end());
  return shape;
}

template <class Make>
void fill(const dsa_tensor& t, Make&& make) {
  each_element(t, [&](char* at, const int64_t*) { store(at, t.dtype, make()); });
}

inline void store_i32(char* at, int32_t value) { __builtin_memcpy(at, &value, 4); }

// An i32 tensor of rows with values in [low, high], a few of them anything.
inline dsa_tensor row_integers(Random& random, Arena& arena, const Frame& f, int64_t low,
                               int64_t high, double wild) {
  const dsa_tensor t = arena.input(DSA_I32, row_shape(random, f, {}), {.broadcast = true});
  each_element(t,
               [&](char* at, const int64_t*) { store_i32(at, random.integer(low, high, wild)); });
  return t;
}

template <class Desc>
Frame draw_frame(Random& random, Arena& arena, Desc& d) {
  Frame f;
  f.batch = random.chance(0.4) ? 1 : random.between(2, 4);
  f.by_table = random.chance(0.35);
  const int64_t per = random.chance(0.03) ? 0 : random.chance(0.4) ? 1 : random.between(1, 4);
  f.rows = f.by_table ? (per == 0 ? 0 : random.between(1, 6)) : f.batch * per;
  f.split = f.rows % f.batch == 0 && random.chance(0.4);
  if (f.by_table) d.row_request = row_integers(random, arena, f, 0, f.batch - 1, 0.05);
  return f;
}

// Hides roughly a share of the elements in one of the ways a mask can.
dsa_tensor draw_mask(Random& random, Arena& arena, const Frame& f, int64_t columns);

// Fills row_begin, row_end, seq_lens, DSA_CAUSAL, ratio, max_keys, mask. `keys`: positions of a
// request as tests want to use them; `columns` of a mask, 0: no mask. `allow_ways`: else all keys.
template <class Desc>
void draw_visibility(Random& random, Arena& arena, const Frame& f, int64_t keys, int64_t columns,
                     Desc& d) {
  const int way = int(random.between(0, f.by_table ? 2 : 3));
  if (way == 1) {
    d.row_end = row_integers(random, arena, f, 0, keys + 2, 0.05);
    if (random.chance(0.5)) d.row_begin = row_integers(random, arena, f, 0, keys / 2 + 1, 0.05);
  } else if (way == 2) {
    d.seq_lens = arena.input(DSA_I32, {f.batch}, {.broadcast = true});
    d.ratio = random.chance(0.3) ? int32_t(random.between(1, 5)) : 0;
    const int64_t most = keys * std::max(d.ratio, 1) + 3;
    each_element(d.seq_lens,
                 [&](char* at, const int64_t*) { store_i32(at, random.integer(0, most, 0.05)); });
    if (f.by_table) {
      d.next_n = int32_t(random.between(1, 4));
    } else if (random.chance(0.5)) {
      d.next_n = int32_t(f.rows / f.batch);
    }
  } else if (way == 3) {
    d.flags |= DSA_CAUSAL;
    d.ratio = random.chance(0.3) ? int32_t(random.between(1, 5)) : 0;
    d.offset = random.between(-3, keys * std::max(d.ratio, 1) + 2);
    if (random.chance(0.03)) d.offset = random.pick<int64_t>({-(1ll << 40), 1ll << 40});
  }
  if (random.chance(0.2)) d.max_keys = random.between(1, keys + 3);
  if (random.chance(0.25)) d.flags |= DSA_COLUMNS_FROM_BEGIN;
  if (columns > 0 && random.chance(0.3)) {
    const int64_t extent = random.chance(0.7) ? columns : random.between(1, columns + 8);
    d.mask = draw_mask(random, arena, f, extent);
  }
  // B is given by the field where nothing else says it, and sometimes in addition.
  if (f.batch > 1 || random.chance(0.3)) d.batch = f.batch;
}

// i32 [B, pages] with a permutation of the cache's pages; a few entries lie outside.
dsa_tensor draw_table(Random& random, Arena& arena, int64_t batch, int64_t per_request,
                      int64_t cache_pages, double wild);

// Where keys lie: layout, extents and table, drawn once and used by every tensor of a cache.
struct CacheShape {
  int32_t layout = DSA_LAYOUT_ROWS;
  int64_t page_size = 0;
  int64_t pages = 0;
  int64_t keys = 0;  // positions of a request
  dsa_tensor table{};
  std::vector<int64_t> axes;  // leading extents
};
CacheShape draw_cache(Random& random, Arena& arena, int64_t batch, int64_t keys, int32_t layout);

// Numbers for queries and keys: bell-shaped, or few different ones (ties).
class Numbers {
 public:
  explicit Numbers(Random& random) : random_(random), kind_(int(random.between(0, 3))) {}
  double operator()() {
    if (kind_ == 0) return double(random_.between(-1, 1));
    if (kind_ == 1) return 0.25 * double(random_.between(-8, 8));
    return random_.normal();
  }

 private:
  Random& random_;
  int kind_;
};

inline int32_t draw_float(Random& random) {
  return random.pick<int32_t>({DSA_F32, DSA_F16, DSA_BF16});
}
inline int32_t draw_key_dtype(Random& random) {
  return random.pick<int32_t>({DSA_F32, DSA_F16, DSA_BF16, DSA_F8_E4M3FN});
}

}  // namespace support
