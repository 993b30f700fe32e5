#include "cuda/indexer/sm90_maps.h"

#include "cuda/sm90/tensor_map.h"

namespace dsa::cuda::sm90 {
namespace {

bool chunks_align(const void* data, int64_t row_bytes) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0 && row_bytes % 16 == 0;
}

}  // namespace

bool even_rows(const RowTensor& x) {
  return x.split == 0 || x.outer_stride == x.split * x.row_stride;
}

bool keys_aligned(const IndexerParams& p) {
  const KeyTensor& k = p.keys.values;
  return k.element_stride == 1 && chunks_align(k.data, int64_t{p.dim} * element_bytes(k.dtype)) &&
         k.inner_stride % 16 == 0 && k.outer_stride % 16 == 0;
}

bool q_aligned(const IndexerParams& p) {
  const RowTensor& q = p.q;
  return q.stride[1] == 1 && chunks_align(q.data, int64_t{p.dim} * q.bytes) &&
         q.stride[0] * q.bytes % 16 == 0 && q.row_stride % 16 == 0 && q.outer_stride % 16 == 0;
}

bool weights_plain(const IndexerParams& p) {
  const RowTensor& w = p.w;
  return w.dtype == DSA_F32 && w.stride[0] == 1 && chunks_align(w.data, w.row_stride) &&
         w.outer_stride % 16 == 0 && !p.q_scale.given();
}

std::optional<KeyBoxes> map_keys(const IndexerParams& p, int32_t most_shift) {
  const KeyTensor& k = p.keys.values;
  const KeyTensor& scale = p.keys.scale;
  const int64_t inner = p.axis.inner, outer = p.axis.outer;
  KeyBoxes boxes = {};
  boxes.shift = most_shift;
  if (p.axis.layout == DSA_LAYOUT_PAGES) {
    while (inner % (1 << boxes.shift) != 0) --boxes.shift;
  }
  if (!keys_aligned(p) || boxes.shift < 3) return {};
  const Boxes keys = {.data = k.data,
                      .type = CU_TENSOR_MAP_DATA_TYPE_UINT8,
                      .extent = {int64_t{p.dim} * element_bytes(k.dtype), inner, outer},
                      .stride = {k.inner_stride, k.outer_stride},
                      .box = {128, 1 << boxes.shift},
                      .swizzle = true};
  if (!make_tensor_map(keys, &boxes.keys)) return {};
  boxes.scales = BoxScales::kOne;
  if (!scale.given() || (scale.inner_stride == 0 && scale.outer_stride == 0)) return boxes;
  if (scale.inner_stride != 4) return {};
  if (p.axis.layout == DSA_LAYOUT_PAGES) {
    if (!chunks_align(scale.data, scale.outer_stride)) return {};
    boxes.scales = BoxScales::kRun;
    return boxes;
  }
  boxes.scales = BoxScales::kMap;
  const Boxes scales = {.data = scale.data,
                        .type = CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
                        .extent = {inner, outer, 1},
                        .stride = {scale.outer_stride, 0},
                        .box = {1 << boxes.shift, 1},
                        .swizzle = false};
  if (!make_tensor_map(scales, &boxes.scale)) return {};
  return boxes;
}

std::optional<CUtensorMap> map_queries(const IndexerParams& p) {
  const RowTensor& q = p.q;
  if (!q_aligned(p) || !even_rows(q) || p.rows.count > INT32_MAX) return {};
  const Boxes boxes = {.data = q.data,
                       .type = CU_TENSOR_MAP_DATA_TYPE_UINT8,
                       .extent = {int64_t{p.dim} * q.bytes, p.heads, p.rows.count},
                       .stride = {q.stride[0] * q.bytes, q.row_stride},
                       .box = {128, p.heads},
                       .swizzle = true};
  CUtensorMap map;
  if (!make_tensor_map(boxes, &map)) return {};
  return map;
}

}  // namespace dsa::cuda::sm90
