// The producers of the Hopper indexer: two warps copy keys, one queries, one writes -inf.
//
// Keys come by the copy engine where the host could make a tensor map of them (rows, batches, pages
// of a multiple of 8 keys, 16-byte strides): an instruction a box instead of 16 a lane. Else by
// cp.async, 16 bytes at a time, from rows that lie anywhere; else element by element.
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

// A lane's two keys of a tile: rows lane and lane + 32 of the warp's 64.
struct LaneKeys {
  const char* row[2];    // nullptr: no row of the group sees it
  const char* scale[2];  // likewise
  uint32_t in_cache[2];  // of the whole warp
  bool box;              // this lane copies one
  int32_t y, z;          // its place in the tensor map
  int32_t first_key;     // of the tile
  bool starts_group;
};

template <class T>
class KeyProducer {
 public:
  __device__ KeyProducer(const ScoreParams& s, typename T::Shared& shared,
                         const RowBlocks<T::kTokens>& blocks, int32_t warp, int32_t lane)
      : s_(s),
        p_(s.p),
        copier_{s.keys_aligned, s.p.keys.values.element_stride, s.p.dim},
        shared_(shared),
        walk_(blocks, shared.share),
        first_row_(warp * kWarpKeys),
        lane_(lane) {}

  __device__ void run() {
    RingPlace<T::kStages> place;
    LaneKeys next = {};
    // One tile ahead: its table entries are on their way while this one waits for room.
    for (bool first = true, more = true; more; first = false) {
      const LaneKeys keys = next;
      more = walk_.find();
      if (more) {
        next = find_keys();
        walk_.pass_tile();
      }
      if (first) continue;
      barrier_wait(&shared_.keys_empty[place.i], place.parity ^ 1);
      copy(keys, place.i);
      barrier_arrive_after_copies(&shared_.keys_full[place.i]);
      barrier_arrive(&shared_.keys_full[place.i]);
      place.next();
    }
  }

 private:
  static constexpr int32_t kWarpKeys = kTileKeys / kKeyWarps;
  static_assert(kWarpKeys == kBoxRows && kWarpKeys == 64);

  __device__ LaneKeys find_keys() const {
    const Group& group = walk_.group();
    LaneKeys out;
    out.first_key = walk_.first_key();
    out.starts_group = walk_.starts_group();
#pragma unroll
    for (int32_t j = 0; j < 2; ++j) {
      const int64_t s = int64_t{out.first_key} + first_row_ + lane_ + 32 * j;
      KeyPlace place = {0, 0};
      const bool found =
          s >= group.begin && s < group.end && p_.axis.place(group.request, s, place);
      out.row[j] = found ? p_.keys.values.at(place) : nullptr;
      out.scale[j] = found && p_.keys.scale.given() ? p_.keys.scale.at(place) : nullptr;
      out.in_cache[j] = __ballot_sync(~0u, found);
    }
    out.box = false;
    if (lane_ * s_.box_rows < kWarpKeys && s_.box_rows > 0) {
      const int32_t s = out.first_key + first_row_ + lane_ * s_.box_rows;
      KeyPlace place;
      out.box =
          s < group.end && s + s_.box_rows > group.begin && p_.axis.place(group.request, s, place);
      out.y = static_cast<int32_t>(place.inner);
      out.z = static_cast<int32_t>(place.outer);
    }
    return out;
  }

  __device__ void copy(const LaneKeys& keys, int32_t at) const {
    typename T::Stage& stage = shared_.stage[at];
    if (lane_ == 0) {
      stage.in_cache[first_row_ / 32] = keys.in_cache[0];
      stage.in_cache[first_row_ / 32 + 1] = keys.in_cache[1];
      if (first_row_ == 0) {
        stage.first_key = keys.first_key;
        stage.starts_group = keys.starts_group;
      }
    }
#pragma unroll
    for (int32_t j = 0; j < 2; ++j) {
      if (!keys.scale[j]) continue;
      copy_4(shared_address(&stage.scale[first_row_ + lane_ + 32 * j]), keys.scale[j]);
    }
    if (s_.box_rows == 0) {
      copy_rows(keys, shared_.keys[at]);
    } else if (keys.box) {
      copy_boxes(keys, shared_.keys[at], &shared_.keys_full[at]);
    }
  }

  __device__ void copy_boxes(const LaneKeys& keys, uint8_t* tile, uint64_t* full) const {
    const uint32_t to = shared_address(tile) + (first_row_ + lane_ * s_.box_rows) * kPanelRowBytes;
    barrier_expect(full, s_.box_rows * kPanelRowBytes * T::kPanels);
#pragma unroll
    for (int32_t panel = 0; panel < T::kPanels; ++panel) {
      copy_box(to + panel * kTileKeys * kPanelRowBytes, &s_.keys_map, panel * kPanelRowBytes,
               keys.y, keys.z, full);
    }
  }

  __device__ void copy_rows(const LaneKeys& keys, uint8_t* tile) const {
    const int32_t chunk = lane_ % 8;
#pragma unroll
    for (int32_t j = 0; j < 2; ++j) {
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

  const ScoreParams& s_;
  const IndexerParams& p_;
  const ChunkCopier<typename T::Element> copier_;
  typename T::Shared& shared_;
  TileWalk<T::kTokens> walk_;
  const int32_t first_row_;
  const int32_t lane_;
};

// One warp: every group's queries, weights and rows.
template <class T>
__device__ void produce_queries(const ScoreParams& s, typename T::Shared& shared,
                                const RowBlocks<T::kTokens>& blocks, int32_t lane) {
  const IndexerParams& p = s.p;
  const ChunkCopier<typename T::Element> copier{s.q_aligned, p.q.stride[1], p.dim};
  RingPlace<T::kQueryStages> place;
  for (TileWalk<T::kTokens> walk(blocks, shared.share); walk.find(); walk.pass_group()) {
    const Group& group = walk.group();
    typename T::Queries& query = shared.query[place.i];
    barrier_wait(&shared.queries_empty[place.i], place.parity ^ 1);
    for (int32_t token = 0; token < group.rows; ++token) {
      const char* row = p.q.row(group.t + token);
      for (int32_t head = lane / 8; head < p.heads; head += 4) {
        const char* from = row + head * p.q.stride[0] * T::Element::kBytes;
        for (int32_t chunk = lane % 8; chunk < copier.chunks(); chunk += 8) {
          copier.copy(shared.queries[place.i] + chunk / 8 * T::kColumns * kPanelRowBytes,
                      token * T::kHeads + head, from, chunk);
        }
      }
    }
    for (int32_t column = lane; column < T::kColumns; column += 32) {
      const int32_t token = column / T::kHeads;
      const int32_t head = column % T::kHeads;
      const bool real = token < group.rows && head < p.heads;
      float weight = real ? 1.0f : 0.0f;
      float scale = 1.0f;
      if (real && p.w.given()) {
        weight = load_element(p.w.row(group.t + token), p.w.dtype, head * p.w.stride[0]);
      }
      if (real && p.q_scale.given()) {
        scale = p.q_scale.row_as<const float>(group.t + token)[head * p.q_scale.stride[0]];
      }
      query.weights[column] = weight;
      query.scale[column] = scale;
    }
    if (lane < T::kTokens) {
      RowTarget target = {nullptr, 0, 0};
      if (lane < group.rows) {
        const RowSpan span = p.rows.span(group.t + lane);
        const int64_t key_0 = p.rows.column(span, 0) * p.scores.stride[0] * p.scores.bytes;
        target = {p.scores.row(group.t + lane) + key_0, span.begin, span.end};
      }
      query.rows[lane] = target;
    }
    if (lane == 0) query.t = group.t;
    barrier_arrive_after_copies(&shared.queries_full[place.i]);
    barrier_arrive(&shared.queries_full[place.i]);
    place.next();
  }
}

// One warp of every block: -inf in the columns of all rows that lie outside their spans.
__device__ inline void fill_invisible(const IndexerParams& p, int32_t lane) {
  constexpr int64_t kUnit = 2048;  // columns
  const int64_t columns = p.scores.extent[0];
  const int64_t row_units = (columns + kUnit - 1) / kUnit;
  const int64_t units = p.rows.count * row_units;
  const int64_t step = p.scores.stride[0];
  for (int64_t unit = blockIdx.x; unit < units; unit += gridDim.x) {
    const int64_t t = unit / row_units;
    const int64_t begin = unit % row_units * kUnit;
    const int64_t end = begin + kUnit < columns ? begin + kUnit : columns;
    const RowSpan span = p.rows.span(t);
    const int64_t first = clamp64(p.rows.column(span, span.begin), begin, end);
    const int64_t last = clamp64(p.rows.column(span, span.end), begin, end);
    char* row = p.scores.row(t);
    for (int64_t i = begin + lane; i < first; i += 32) {
      store_element(row, p.scores.dtype, i * step, kMinusInfinity);
    }
    for (int64_t i = last + lane; i < end; i += 32) {
      store_element(row, p.scores.dtype, i * step, kMinusInfinity);
    }
  }
}

}  // namespace dsa::cuda::sm90
