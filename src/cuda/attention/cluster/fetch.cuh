// From the selection to keys and query in shared memory.
#pragma once

#include "cuda/attention/cluster/shared.cuh"
#include "cuda/attention/cluster_merge.cuh"
#include "cuda/attention/selection.cuh"
#include "cuda/sm90/copies.cuh"

namespace dsa::cuda {

// The row of the key in a slot, those of the second scope after the first's; nullptr where there is
// none.
__device__ inline const char* find_row(const SparseAttnParams& p, const KeyRows& rows, int64_t t,
                                       int32_t head, int64_t first_slots, int64_t slot) {
  const int32_t scope = p.scopes == 2 && slot >= first_slots ? 1 : 0;
  if (scope == 1) slot -= first_slots;
  const RowSelection selection(p.scope[scope], t);
  if (slot >= selection.size() || (scope == 0 && slot >= first_slots)) return nullptr;
  KeyPlace place;
  const int32_t entry = selection.entry(p.scope[scope], slot);
  if (!selection.find(p.scope[scope], t, slot, entry, place)) return nullptr;
  const ScopeRow& row = rows.scope[scope];
  return row.part[0].tensor.at(place, head / row.heads_of_kv);
}

// Zeros in columns [from, end) of a row, 16 bytes at a time.
__device__ inline void clear_row(uint8_t* row, int32_t from, int32_t end) {
#pragma unroll 1
  for (; from < end; from += 16) *reinterpret_cast<uint4*>(row + from) = uint4{};
}

// Asks for the query's rows of this warp, a lane each. Heads past the end and columns past the last
// are 0.
template <class Shared>
__device__ inline void fetch_query(const SparseAttnParams& p, const AttnTask& task,
                                   Shared& shared) {
  constexpr int32_t kRows = Shared::kHeads / kClusterWarps;
  const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const uint32_t first = static_cast<uint32_t>(p.q[0].extent[1]) * 2;
  const uint32_t second = p.q[1].given() ? static_cast<uint32_t>(p.q[1].extent[1]) * 2 : 0;
  const int32_t h = warp + lane * kClusterWarps;
  const bool mine = lane < kRows, inside = mine && h < task.heads;
  const int32_t rows = __popc(__ballot_sync(~0u, inside));
  if (lane == 0) barrier_arrive_expecting(&shared.query_full, rows * (first + second));
  __syncwarp();
  if (inside) {
    const int64_t head = task.head + h;
    const uint32_t to = shared_address(shared.query[h]);
    copy_bulk(to, row_of(p.q[0], task.t) + head * p.q[0].stride[0] * 2, first, &shared.query_full);
    if (second > 0) {
      copy_bulk(to + first, row_of(p.q[1], task.t) + head * p.q[1].stride[0] * 2, second,
                &shared.query_full);
    }
  }
  if (mine) clear_row(shared.query[h], inside ? first + second : 0, kKeyColumns * 2);
}

// A key of the block, `bytes` of it; the rest is 0, and so are rows that no key has: their weight
// is, too, and a product of both must be.
template <class Shared>
__device__ inline void fetch_key(const SparseAttnParams& p, const ClusterCall& call,
                                 int64_t first_slots, const AttnTask& task, int32_t key,
                                 uint32_t bytes, Shared& shared) {
  const int64_t slot = task.first + key;
  const char* own = nullptr;
  if (call.linear.data) [[likely]] {
    const LinearList list(p, task.t);
    if (slot < min(task.last, list.size)) own = linear_row(call.linear, list.number(slot));
  } else if (slot < task.last) {
    own = find_row(p, call.rows, task.t, task.head, first_slots, slot);
  }
  const bool there = own != nullptr;
  const int32_t rows = __popc(__ballot_sync(~0u, there));
  shared.there[key] = there;
  clear_row(shared.keys[key], there ? bytes : 0, Shared::kRowBytes);
  if (threadIdx.x % 32 == 0) {
    barrier_arrive_expecting(&shared.keys_full, rows * bytes);
  } else {
    barrier_arrive(&shared.keys_full);
  }
  __syncwarp();
  if (there) copy_bulk(shared_address(shared.keys[key]), own, bytes, &shared.keys_full);
}

// The warp's own rows of the query to what is multiplied. What multiplies e4m3 elements becomes
// f16: each row times a power of two that brings its largest element to 2^14 (what is lost is below
// 2^-38 of that one), pairs of columns in the order in which 4 neighbouring bytes of a key are two
// pairs of the operand.
template <class Shared>
__device__ inline void convert_query(Shared& shared) {
  constexpr int32_t kRows = Shared::kHeads / kClusterWarps;
  const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  // The other lanes have cleared what they clear.
  __syncwarp();
#pragma unroll 1  // every instruction is fetched, once a call
  for (int32_t r = 0; r < kRows; ++r) {
    const int32_t h = warp + r * kClusterWarps;
    const uint4* const row = reinterpret_cast<const uint4*>(shared.query[h]);
    const uint4 both[2] = {row[lane * 2], row[lane * 2 + 1]};
    uint32_t x[8];
    memcpy(x, both, 32);
    uint32_t largest = 0;
#pragma unroll
    for (const uint32_t pair : x) {
      largest = max(largest, max(pair << 16 & 0x7fff0000u, pair & 0x7fff0000u));
    }
    const int32_t exponent = exponent_of(__uint_as_float(__reduce_max_sync(~0u, largest)));
    const float factor = scale_down(exponent);
#pragma unroll
    for (uint32_t& pair : x) {
      pair = bits_of(__floats2half2_rn(__uint_as_float(pair << 16) * factor,
                                       __uint_as_float(pair & 0xffff0000u) * factor));
    }
    shared.query_chunk(h, lane * 2) = {x[0], x[2], x[4], x[6]};
    shared.query_chunk(h, lane * 2 + 1) = {x[1], x[3], x[5], x[7]};
    if (lane == 0) shared.undo_query[h] = scale_up(exponent);
    if constexpr (kUsesWgmma<Shared>) {
      constexpr int32_t kFirst = kFp8Columns / 8;  // the rest stays bf16
      if (lane < kFp8RopeColumns / 8) shared.query_chunk(h, kFirst + lane) = row[kFirst + lane];
    }
  }
  if constexpr (kUsesWgmma<Shared>) fence_async_proxy();
}

}  // namespace dsa::cuda
