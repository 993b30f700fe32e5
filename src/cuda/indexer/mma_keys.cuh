// A warp's 32 keys, straight from global memory into the registers of mma.sync's B operand.
#pragma once

#include "cuda/indexer/mma_shared.cuh"

namespace dsa::cuda::indexer_mma {

// With g = lane / 4 and c = lane % 4 a lane has a quarter of keys g, g + 8, g + 16 and g + 24. The
// order of the summands is free as long as keys and queries agree on it, so that a lane's quarter
// is what can be read in 16-byte cells: dims 64 i + 16 c + [0, 16) for all i. Step k of 16 takes
// the four from 64 (k / 4) + 16 c + 4 (k % 4) on.
template <class T, int kSteps>
class KeyFragments {
 public:
  uint32_t b[4][kSteps][2];  // [8 keys][step][mma's registers]
  // Of the key whose scores this lane writes: lanes g share out the eight sums of every lane c.
  float scale;
  bool placed;
  __device__ static uint32_t own_key() {
    const uint32_t g = threadIdx.x / 4 % 8, c = threadIdx.x % 4;
    return g / 2 * 8 + c * 2 + g % 2;
  }

  // Keys [first, first + 32) of a request, of which those from `end` on do not exist.
  __device__ void load(const ScoreCall& call, const Shape& shape, int32_t request, int64_t first,
                       int64_t end) {
    const IndexerParams& p = call.p;
    const KeyTensor& keys = p.keys.values;
    const char* row[4];
    KeyPlace place;
#pragma unroll
    for (int32_t i = 0; i < 4; ++i) {
      const int64_t s = first + threadIdx.x / 4 % 8 + 8 * i;
      row[i] = nullptr;
      if (s < end && find(p.axis, request, static_cast<uint32_t>(s), place))
        row[i] = keys.at(place);
    }
    const int64_t own = first + own_key();
    placed = own < end && find(p.axis, request, static_cast<uint32_t>(own), place);
    scale = placed && p.keys.scale.given() ? *reinterpret_cast<const float*>(p.keys.scale.at(place))
                                           : 1.0f;
    if (!shape.keys_by_16_bytes) {
      load_cells(p, row, [&](const char* at, int32_t d) {
        return load_elements<T>(at, keys.dtype, d, p.dim, keys.element_stride);
      });
    } else if (keys.dtype == DSA_F8_E4M3FN) {
      load_e4m3(row, p.dim);
    } else {
      load_cells(p, row, [](const char* at, int32_t d) {
        return *reinterpret_cast<const uint4*>(at + 2 * d);
      });
    }
  }

 private:
  // KeyAxis::place with a division of 32 bits.
  __device__ static bool find(const KeyAxis& axis, int32_t request, uint32_t s, KeyPlace& place) {
    if (axis.layout != DSA_LAYOUT_PAGES) return axis.place(request, s, place);
    const uint32_t size = static_cast<uint32_t>(axis.inner), page = s / size;
    const int32_t entry = *reinterpret_cast<const int32_t*>(
        axis.table + request * axis.table_request_stride + page * axis.table_page_stride);
    place = {entry, static_cast<int64_t>(s - page * size)};
    return entry >= 0 && entry < axis.outer;
  }

  // Four elements of key g + 8 i for step k.
  __device__ void put(int32_t i, int32_t k, uint32_t low, uint32_t high) {
    b[i][k][0] = low;
    b[i][k][1] = high;
  }

  __device__ void load_e4m3(const char* const (&row)[4], int32_t dim) {
    constexpr int32_t kCells = kSteps / 4;  // of a lane and row
    const int32_t own = threadIdx.x % 4;
    uint4 x[4][kCells];
#pragma unroll
    for (int32_t i = 0; i < 4; ++i) {
#pragma unroll
      for (int32_t j = 0; j < kCells; ++j) {
        const int32_t at = 64 * j + 16 * own;
        x[i][j] =
            row[i] && at < dim ? *reinterpret_cast<const uint4*>(row[i] + at) : uint4{0, 0, 0, 0};
      }
    }
#pragma unroll
    for (int32_t i = 0; i < 4; ++i) {
#pragma unroll
      for (int32_t j = 0; j < kCells; ++j) {
        const uint32_t bytes[4] = {x[i][j].x, x[i][j].y, x[i][j].z, x[i][j].w};
#pragma unroll
        for (int32_t k = 0; k < 4; ++k) {
          const uint2 y = e4m3x4_to<T>(bytes[k]);
          put(i, 4 * j + k, y.x, y.y);
        }
      }
    }
  }

  template <class Load>
  __device__ void load_cells(const IndexerParams& p, const char* const (&row)[4], Load&& load) {
#pragma unroll
    for (int32_t i = 0; i < 4; ++i) {
#pragma unroll
      for (int32_t j = 0; j < kSteps / 2; ++j) {
        const int32_t d = 64 * (j / 2) + 16 * (threadIdx.x % 4) + 8 * (j % 2);
        const uint4 x = row[i] && d < p.dim ? load(row[i], d) : uint4{0, 0, 0, 0};
        put(i, 2 * j, x.x, x.y);
        put(i, 2 * j + 1, x.z, x.w);
      }
    }
  }
};

}  // namespace dsa::cuda::indexer_mma
