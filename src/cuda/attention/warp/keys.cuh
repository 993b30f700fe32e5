// The keys that a row selects, for kernels that address them in 16-byte units.
#pragma once

#include "cuda/attention/selection.cuh"

namespace dsa::cuda {

constexpr int32_t kUnit = 16;  // bytes: rows of a cache begin at multiples of it

// Where one tensor's rows lie, in units.
struct UnitSteps {
  int32_t request;  // from one request's first key to the next one's; 0 where all share an axis
  int32_t key;
};

struct WarpShape {
  int32_t dim, value_dim;
  int32_t heads_of_kv;
  int32_t rows;   // of a block
  bool out_by_4;  // 4 outputs are f32 side by side
  // Of a list of positions without blocks, mask and table:
  UnitSteps keys, values;
  // As DenseCall has it (topk/dense.h); 0 rows: not so.
  int32_t causal_rows, causal_end, causal_ratio;
};

// Places of the keys of a row's tiles, in units from the first key's: lane i has that of key i.
template <bool kPlain>
class WarpKeys;

// Any selection.
template <>
class WarpKeys<false> {
 public:
  __device__ WarpKeys(const SparseAttnParams& p, const WarpShape&, int64_t t, int64_t slots)
      : scope_(p.scope[0]), walk_(p, t, 0, slots, slots, 0, 1) {}

  // As TileWalk::next.
  __device__ int32_t next(int32_t& key_at, int32_t& value_at) {
    KeyPlace place;
    int32_t which;
    const int32_t keys = walk_.next(place, which);
    if (keys <= 0) return keys;
    key_at = units_to(scope_.piece[0].values, place);
    value_at = units_to(scope_.value.values, place);
    return keys;
  }

 private:
  __device__ static int32_t units_to(const KeyTensor& tensor, const KeyPlace& place) {
    return static_cast<int32_t>(
        (place.outer * tensor.outer_stride + place.inner * tensor.inner_stride) / kUnit);
  }
  const AttnScope& scope_;
  TileWalk walk_;
};

// A list of positions: a fourth of the instructions, which are what these kernels wait for.
template <>
class WarpKeys<true> {
 public:
  __device__ WarpKeys(const SparseAttnParams& p, const WarpShape& shape, int64_t t, int64_t)
      : shape_(shape) {
    const AttnScope& scope = p.scope[0];
    int32_t request = 0;
    if (shape.causal_rows > 0) {
      const uint32_t row = static_cast<uint32_t>(t);
      const uint32_t per = static_cast<uint32_t>(shape.causal_rows);
      const uint32_t quotient = row / per;
      const int32_t end = shape.causal_end + static_cast<int32_t>(row - quotient * per);
      request = static_cast<int32_t>(quotient);
      begin_ = 0;
      end_ = min(static_cast<int32_t>(scope.rows.key_limit), max(end, 0) / shape.causal_ratio);
    } else {
      const RowSpan span = scope.rows.span(t);
      request = span.request;
      begin_ = span.begin;
      end_ = span.end;
    }
    if (scope.index_base.given()) {
      base_ = static_cast<uint32_t>(*scope.index_base.row_as<const int32_t>(t)) -
              static_cast<uint32_t>(begin_);
    }
    key_first_ = request * shape.keys.request;
    value_first_ = request * shape.values.request;
    entries_ = scope.k;
    if (scope.counts.given()) {
      entries_ = max(0, min(entries_, *scope.counts.row_as<const int32_t>(t)));
    }
    list_ = scope.indices.row_as<const int32_t>(t) +
            int64_t{threadIdx.x % 32} * scope.indices.stride[0];
    step_ = 32 * scope.indices.stride[0];
    fetch();
  }

  __device__ int32_t next(int32_t& key_at, int32_t& value_at) {
    if (tile_ >= entries_) return -1;
    // In wrap-around arithmetic, as whatever an entry holds must do no harm.
    uint32_t number = static_cast<uint32_t>(entry_) - base_;
    const bool found = tile_ + static_cast<int32_t>(threadIdx.x % 32) < entries_ &&
                       static_cast<int32_t>(number) >= begin_ &&
                       static_cast<int32_t>(number) < end_;
    const uint32_t mask = __ballot_sync(~0u, found);
    const int32_t keys = __popc(mask);
    if ((mask & (mask + 1)) != 0) {  // holes
      const int32_t lane = static_cast<int32_t>(threadIdx.x % 32);
      number = __shfl_sync(~0u, number, lane < keys ? bit_of_rank(mask, lane) : 0);
    }
    tile_ += 32;
    list_ += step_;
    fetch();
    key_at = key_first_ + static_cast<int32_t>(number * static_cast<uint32_t>(shape_.keys.key));
    value_at =
        value_first_ + static_cast<int32_t>(number * static_cast<uint32_t>(shape_.values.key));
    return keys;
  }

 private:
  // A tile ahead, since it comes from memory.
  __device__ void fetch() {
    if (tile_ + static_cast<int32_t>(threadIdx.x % 32) < entries_) entry_ = *list_;
  }

  const WarpShape& shape_;
  int32_t begin_, end_;
  uint32_t base_ = 0;  // what an index holds beyond a position
  int32_t key_first_, value_first_;
  int32_t entries_;
  int32_t tile_ = 0;
  int32_t entry_ = 0;
  const int32_t* list_;
  int64_t step_;
};

}  // namespace dsa::cuda
