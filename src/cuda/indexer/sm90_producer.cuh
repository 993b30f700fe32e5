// The producers of the Hopper indexer: of keys, of queries, and of -inf.
//
// Keys come by the copy engine where the host could make a tensor map of them (rows, batches, pages
// of a multiple of 8 keys, 16-byte strides), two instructions a box. Else two warps copy 16 bytes
// at a time (cp.async) from rows that lie anywhere, or gather element by element. Queries likewise:
// the first tile of a launch waits for them, 11 us where a warp copied them and loaded their
// weights one by one.
#pragma once

#include "cuda/element.cuh"
#include "cuda/indexer/sm90_tile.cuh"

namespace dsa::cuda::sm90 {

// 16-byte chunk `chunk` of a row whose elements lie `stride` elements apart; zeros from `dim` on.
template <class Element>
__device__ inline uint4 gather_chunk(const char* row, int64_t stride, int32_t dim, int32_t chunk) {
  constexpr int32_t kElements = 16 / Element::kBytes;
  uint32_t words[4] = {};
  for (int32_t i = 0; i < kElements; ++i) {
    const int32_t d = chunk * kElements + i;
    if (d >= dim) break;
    const char* at = row + d * stride * Element::kBytes;
    const uint32_t bits = Element::kBytes == 1 ? *reinterpret_cast<const uint8_t*>(at)
                                               : *reinterpret_cast<const uint16_t*>(at);
    const int32_t byte = i * Element::kBytes;
#pragma unroll
    for (int32_t w = 0; w < 4; ++w) {
      if (byte / 4 == w) words[w] |= bits << byte % 4 * 8;
    }
  }
  return {words[0], words[1], words[2], words[3]};
}

// A row's 16-byte chunk to its place in a panel.
template <class Element>
struct ChunkCopier {
  bool aligned;
  int64_t stride;  // elements
  int32_t dim;

  __device__ int32_t chunks() const { return (dim * Element::kBytes + 15) / 16; }
  __device__ void copy(uint8_t* panel, int32_t to_row, const char* row, int32_t chunk) const {
    uint8_t* to = panel + panel_offset(to_row, chunk % 8);
    if (aligned) {
      copy_16(shared_address(to), row + chunk * 16);
    } else {
      *reinterpret_cast<uint4*>(to) = gather_chunk<Element>(row, stride, dim, chunk);
    }
  }
};

// Two warps, each with every other tile: keys and scales in boxes.
template <class T>
__device__ void produce_boxes(const ScoreParams& s, typename T::Shared& shared,
                              const RowBlocks<T::kTokens>& blocks, int32_t warp, int32_t lane) {
  const int32_t box_rows = 1 << s.keys.shift;
  const int32_t boxes = kTileKeys >> s.keys.shift;  // of a tile; a lane has one, of several tiles
  const int32_t tiles_at_once = 32 / boxes;
  const int32_t own_tile = lane / boxes;
  const int32_t own_row = lane % boxes * box_rows;
  const uint32_t box_bytes =
      box_rows * (kPanelRowBytes * T::kPanels +
                  (s.keys.scales != BoxScales::kOne ? int32_t(sizeof(float)) : 0));
  RingPlace<T::kStages> place;
  Walk<T::kTokens> walk(blocks, shared.share);
  int32_t turn = 0;
  int32_t group = 0;
  for (Segment segment; walk.next(segment); ++group) {
    for (int32_t n = 0; n < segment.count; n += tiles_at_once) {
      const int32_t tile = segment.first + n;
      const int64_t key = int64_t{tile + own_tile} * kTileKeys + own_row;
      KeyPlace box = {0, 0};
      const bool found = key < segment.group.end && key + box_rows > segment.group.begin &&
                         s.call.p.axis.place(segment.group.request, key, box);
      uint32_t in_cache = __ballot_sync(~0u, found);
      const int32_t count = min(tiles_at_once, segment.count - n);
      for (int32_t i = 0; i < count; ++i, place.next(), in_cache >>= boxes) {
        if ((turn ^= 1) == warp) continue;
        typename T::Stage& stage = shared.stage[place.i];
        uint64_t* full = &shared.keys_full[place.i];
        barrier_spin(&shared.keys_empty[place.i], place.parity ^ 1);
        if (lane == 0) {
          const uint32_t in_tile = in_cache & ((1u << boxes) - 1);
          stage.in_cache[0] = in_tile;
          stage.first_key = (tile + i) * kTileKeys;
          stage.group = group;
          barrier_arrive_expecting(full, __popc(in_tile) * box_bytes);
        }
        if (!found || own_tile != i) continue;
        const uint32_t to = shared_address(shared.keys[place.i]) + own_row * kPanelRowBytes;
        const int32_t y = static_cast<int32_t>(box.inner), z = static_cast<int32_t>(box.outer);
#pragma unroll
        for (int32_t panel = 0; panel < T::kPanels; ++panel) {
          copy_box(to + panel * kTileKeys * kPanelRowBytes, &s.keys.keys, panel * kPanelRowBytes, y,
                   z, full);
        }
        const uint32_t to_scale = shared_address(&stage.scale[own_row]);
        if (s.keys.scales == BoxScales::kMap) copy_box(to_scale, &s.keys.scale, y, z, 0, full);
        if (s.keys.scales == BoxScales::kRun) {
          copy_bulk(to_scale, s.call.p.keys.scale.at(box), box_rows * sizeof(float), full);
        }
      }
    }
  }
}

// A lane's two keys of a tile: rows lane and lane + 32 of its warp's 64.
struct LaneRows {
  const char* row[2];    // nullptr: no row of the group sees it
  const char* scale[2];  // likewise
  uint32_t in_cache[2];  // of the whole warp
};

// One of two warps: keys and scales from rows that lie anywhere.
template <class T>
class RowProducer {
 public:
  __device__ RowProducer(const ScoreParams& s, typename T::Shared& shared, int32_t warp,
                         int32_t lane)
      : p_(s.call.p),
        copier_{s.keys_aligned, s.call.p.keys.values.element_stride, s.call.p.dim},
        shared_(shared),
        first_row_(warp * kWarpKeys),
        lane_(lane) {}

  __device__ void run(const RowBlocks<T::kTokens>& blocks) {
    RingPlace<T::kStages> place;
    Walk<T::kTokens> walk(blocks, shared_.share);
    int32_t group = 0;
    for (Segment segment; walk.next(segment); ++group) {
      for (int32_t i = 0; i < segment.count; ++i, place.next()) {
        const int32_t first_key = (segment.first + i) * kTileKeys;
        const LaneRows keys = find(segment.group, first_key);
        typename T::Stage& stage = shared_.stage[place.i];
        barrier_spin(&shared_.keys_empty[place.i], place.parity ^ 1);
        copy(keys, shared_.keys[place.i], stage);
        if (lane_ == 0) {
          stage.in_cache[first_row_ / 32] = keys.in_cache[0];
          stage.in_cache[first_row_ / 32 + 1] = keys.in_cache[1];
        }
        if (lane_ == 0 && first_row_ == 0) {
          stage.first_key = first_key;
          stage.group = group;
        }
        barrier_arrive_after_copies(&shared_.keys_full[place.i]);
        barrier_arrive(&shared_.keys_full[place.i]);
      }
    }
  }

 private:
  static constexpr int32_t kWarpKeys = kTileKeys / kKeyWarps;
  static_assert(kWarpKeys == 64);

  __device__ LaneRows find(const Group& group, int32_t first_key) const {
    LaneRows out;
#pragma unroll
    for (int32_t j = 0; j < 2; ++j) {
      const int64_t s = int64_t{first_key} + first_row_ + lane_ + 32 * j;
      KeyPlace place = {0, 0};
      const bool found =
          s >= group.begin && s < group.end && p_.axis.place(group.request, s, place);
      out.row[j] = found ? p_.keys.values.at(place) : nullptr;
      out.scale[j] = found && p_.keys.scale.given() ? p_.keys.scale.at(place) : nullptr;
      out.in_cache[j] = __ballot_sync(~0u, found);
    }
    return out;
  }

  __device__ void copy(const LaneRows& keys, uint8_t* tile, typename T::Stage& stage) const {
    const int32_t chunk = lane_ % 8;
#pragma unroll
    for (int32_t j = 0; j < 2; ++j) {
      if (keys.scale[j]) {
        copy_4(shared_address(&stage.scale[first_row_ + lane_ + 32 * j]), keys.scale[j]);
      }
#pragma unroll
      for (int32_t i = 0; i < 8; ++i) {
        const int32_t row = 4 * i + lane_ / 8;
        const char* from = reinterpret_cast<const char*>(
            __shfl_sync(~0u, reinterpret_cast<uint64_t>(keys.row[j]), row));
        if (!from) continue;
#pragma unroll
        for (int32_t panel = 0; panel < T::kPanels; ++panel) {
          if (panel * 8 + chunk >= copier_.chunks()) continue;
          copier_.copy(tile + panel * kTileKeys * kPanelRowBytes, first_row_ + 32 * j + row, from,
                       panel * 8 + chunk);
        }
      }
    }
  }

  const IndexerParams& p_;
  const ChunkCopier<typename T::Element> copier_;
  typename T::Shared& shared_;
  const int32_t first_row_;
  const int32_t lane_;
};

// Where a row's inputs are; each lane finds those of one row of a group.
struct QueryRow {
  uint64_t q, w, scale;

  __device__ QueryRow(const IndexerParams& p, int64_t t)
      : q(address(p.q, t)), w(address(p.w, t)), scale(address(p.q_scale, t)) {}
  __device__ static uint64_t address(const RowTensor& tensor, int64_t t) {
    return tensor.given() ? reinterpret_cast<uint64_t>(tensor.row(t)) : 0;
  }
  // An address that lane `of` has.
  __device__ static const char* from(uint64_t address, int32_t of) {
    return reinterpret_cast<const char*>(__shfl_sync(~0u, address, of));
  }
};

// Weights and scales of a group's columns.
template <class T>
__device__ void load_columns(const IndexerParams& p, const QueryRow& own, int32_t rows,
                             typename T::Queries& query, int32_t lane) {
#pragma unroll 1
  for (int32_t column = lane; column < T::kColumns; column += 32) {
    const int32_t token = column / T::kHeads;
    const int32_t head = column % T::kHeads;
    const char* const w = QueryRow::from(own.w, token);
    const char* const s = QueryRow::from(own.scale, token);
    const bool real = token < rows && head < p.heads;
    float weight = real ? 1.0f : 0.0f;
    if (real && w) weight = load_element(w, p.w.dtype, head * p.w.stride[0]);
    query.weights[column] = weight * T::kWeightFactor;
    query.scale[column] =
        real && s ? reinterpret_cast<const float*>(s)[head * p.q_scale.stride[0]] : 1.0f;
  }
}

// The same where a lane can take four columns at once: few instructions and one latency, since the
// first tile of a launch waits for them.
template <class T>
__device__ void load_plain_columns(const QueryRow& own, int32_t rows, typename T::Queries& query,
                                   int32_t lane) {
#pragma unroll
  for (int32_t i = 0; i < (T::kColumns + 127) / 128; ++i) {
    const int32_t column = 128 * i + 4 * lane;
    const int32_t token = column / T::kHeads;
    const char* const w = QueryRow::from(own.w, token % 32);
    if (column >= T::kColumns) continue;
    float4 weight = {0, 0, 0, 0};
    if (token < rows) weight = reinterpret_cast<const float4*>(w)[column % T::kHeads / 4];
    weight.x *= T::kWeightFactor;
    weight.y *= T::kWeightFactor;
    weight.z *= T::kWeightFactor;
    weight.w *= T::kWeightFactor;
    reinterpret_cast<float4*>(query.weights)[column / 4] = weight;
    reinterpret_cast<float4*>(query.scale)[column / 4] = {1, 1, 1, 1};
  }
}

// A group's queries by the copy engine: a lane each.
template <class T>
__device__ void copy_query_boxes(const ScoreParams& s, const Group& group, uint8_t* to,
                                 uint64_t* full, int32_t lane) {
  if (lane == 0) {
    barrier_expect(full, group.rows * s.call.p.heads * T::kPanels * kPanelRowBytes);
  }
  __syncwarp();
  if (lane >= group.rows) return;
  const uint32_t own = shared_address(to) + lane * T::kHeads * kPanelRowBytes;
#pragma unroll
  for (int32_t panel = 0; panel < T::kPanels; ++panel) {
    copy_box(own + panel * T::kColumns * kPanelRowBytes, &s.queries_map, panel * kPanelRowBytes, 0,
             static_cast<int32_t>(group.t) + lane, full);
  }
}

// The same from rows that lie anywhere.
template <class T>
__device__ void copy_query_rows(const ScoreParams& s, const Group& group, const QueryRow& own,
                                uint8_t* to, int32_t lane) {
  const IndexerParams& p = s.call.p;
  const ChunkCopier<typename T::Element> copier{s.q_aligned, p.q.stride[1], p.dim};
  for (int32_t token = 0; token < group.rows; ++token) {
    const char* row = QueryRow::from(own.q, token);
    for (int32_t head = lane / 8; head < p.heads; head += 4) {
      const char* from = row + head * p.q.stride[0] * T::Element::kBytes;
      for (int32_t chunk = lane % 8; chunk < copier.chunks(); chunk += 8) {
        copier.copy(to + chunk / 8 * T::kColumns * kPanelRowBytes, token * T::kHeads + head, from,
                    chunk);
      }
    }
  }
}

// One warp: every group's queries, weights and rows.
template <class T>
__device__ void produce_queries(const ScoreParams& s, typename T::Shared& shared,
                                const RowBlocks<T::kTokens>& blocks, int32_t lane) {
  const IndexerParams& p = s.call.p;
  RingPlace<T::kQueryStages> place;
  Walk<T::kTokens> walk(blocks, shared.share);
  for (Segment segment; walk.next(segment); place.next()) {
    const Group& group = segment.group;
    const QueryRow own(p, group.t + min(lane, group.rows - 1));
    typename T::Queries& query = shared.query[place.i];
    uint64_t* full = &shared.queries_full[place.i];
    barrier_spin(&shared.queries_empty[place.i], place.parity ^ 1);
    if (s.query_boxes) {
      copy_query_boxes<T>(s, group, shared.queries[place.i], full, lane);
    } else {
      copy_query_rows<T>(s, group, own, shared.queries[place.i], lane);
    }
    if (s.plain_weights && p.heads == T::kHeads) {
      load_plain_columns<T>(own, group.rows, query, lane);
    } else {
      load_columns<T>(p, own, group.rows, query, lane);
    }
    if (lane < T::kTokens) {
      RowTarget target = {nullptr, 0, 0};
      if (lane < group.rows) {
        const RowSpan span = p.rows.span(group.t + lane);
        const int64_t key_0 = s.call.column(span, 0) * p.scores.stride[0] * p.scores.bytes;
        target = {p.scores.row(group.t + lane) + key_0, span.begin, span.end};
      }
      query.rows[lane] = target;
    }
    if (lane == 0) query.t = group.t;
    barrier_arrive_after_copies(full);
    barrier_arrive(full);
  }
}

// One warp of every block: -inf in the columns of all rows that lie outside their spans.
__device__ inline void fill_invisible(const ScoreCall& call, int32_t lane) {
  constexpr int64_t kUnit = 2048;  // columns
  const RowTensor& scores = call.p.scores;
  const int64_t columns = scores.extent[0];
  const int64_t row_units = (columns + kUnit - 1) / kUnit;
  const int64_t units = call.row_count * row_units;
  const int64_t step = scores.stride[0];
  for (int64_t unit = blockIdx.x; unit < units; unit += gridDim.x) {
    const int64_t t = call.first_row + unit / row_units;
    const int64_t begin = unit % row_units * kUnit;
    const int64_t end = begin + kUnit < columns ? begin + kUnit : columns;
    const RowSpan span = call.p.rows.span(t);
    const int64_t first = clamp64(call.column(span, span.begin), begin, end);
    const int64_t last = clamp64(call.column(span, span.end), begin, end);
    char* row = scores.row(t);
    for (int64_t i = begin + lane; i < first; i += 32) {
      store_element(row, scores.dtype, i * step, kMinusInfinity);
    }
    for (int64_t i = last + lane; i < end; i += 32) {
      store_element(row, scores.dtype, i * step, kMinusInfinity);
    }
  }
}

}  // namespace dsa::cuda::sm90
