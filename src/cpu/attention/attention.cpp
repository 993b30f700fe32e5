// dsa_sparse_attn on the CPU. A task is a query row and heads that read the same keys; where there
// are few, a task is also only one piece of the row's selection, and the lane that ends the last
// piece merges them. Both ways do the same arithmetic in the same order: bits do not depend on it.
#include "cpu/attention/attention.h"

#include <algorithm>
#include <atomic>
#include <new>

#include "cpu/attention/division.h"
#include "cpu/attention/finish.h"
#include "cpu/attention/selection.h"
#include "cpu/attention/shape.h"
#include "cpu/attention/tier.h"
#include "cpu/simd/float_mode.h"

namespace dsa::cpu {
namespace {

class Attend {
 public:
  Attend(const AttnTier& tier, const SparseAttnParams& p, const AttnDivision& d, char* workspace,
         uint64_t lane_bytes, char* partials)
      : tier_(tier), p_(p), d_(d), workspace_(workspace), lane_bytes_(lane_bytes) {
    layout_ = attn_lane_layout(tier, p);
    for (int32_t i = 0; i < p.scopes; ++i) {
      pieces_[i] = attn_pieces(p.scope[i]);
      in_keys_[i] = attn_values_in_keys(p.scope[i], p.value_dim);
    }
    if (!d.divided) return;
    const AttnPartialLayout l = attn_partial_layout(p, d);
    done_ = reinterpret_cast<std::atomic<int32_t>*>(partials);
    keys_ = reinterpret_cast<int64_t*>(partials + l.keys);
    states_ = partials + l.states;
    state_bytes_ = l.state;
    for (int64_t u = 0; u < d.units; ++u) new (&done_[u]) std::atomic<int32_t>(0);
  }

  void run_lane(int32_t index) {
    const DefaultFloatMode mode;
    Lane lane(*this, workspace_ + uint64_t(index) * lane_bytes_);
    const int64_t tasks = d_.divided ? d_.units * d_.pieces : d_.units;
    for (;;) {
      const int64_t task = next_.fetch_add(1, std::memory_order_relaxed);
      if (task >= tasks) return;
      if (d_.divided) {
        run_piece(lane, task / d_.pieces, int32_t(task % d_.pieces));
      } else {
        run_unit(lane, task);
      }
    }
  }

 private:
  // A unit: row t, heads [head, head + heads).
  struct Unit {
    int64_t t;
    int32_t head;
    int32_t heads;
  };

  struct Lane {
    char* query;
    char* scratch;
    char* first;  // state memory
    char* second;
    AttnKeyAddresses* keys;
    int64_t packed = -1;  // the unit whose query is packed
    Lane(const Attend& a, char* memory) {
      const AttnLaneLayout& l = a.layout_;
      query = memory;
      first = query + l.query;
      second = first + l.state;
      scratch = second + l.state;
      keys = new (scratch + l.scratch) AttnKeyAddresses;
    }
  };

  Unit unit(int64_t u) const {
    const int32_t groups = p_.heads / d_.group;
    const int64_t group = u / d_.parts;
    const int32_t offset = int32_t(u % d_.parts) * d_.heads;
    return {group / groups, int32_t(group % groups) * d_.group + offset,
            std::min(d_.heads, d_.group - offset)};
  }

  AttnShape shape(const Unit& u, int32_t scope) const {
    AttnShape s = attn_shape(p_, p_.scope[scope], u.heads, !in_keys_[scope]);
    s.few_heads = d_.group <= tier_.few_heads;
    return s;
  }

  void pack(Lane& lane, int64_t index, const Unit& u) const {
    if (lane.packed == index) return;
    lane.packed = index;
    const RowTensor& q = p_.q[0];
    const RowTensor& q2 = p_.q[1];
    AttnQuery a;
    a.type = attn_type(q.dtype);
    a.head_stride = q.stride[0];
    a.stride = q.stride[1];
    a.q = q.row(u.t) + u.head * q.stride[0] * q.bytes;
    if (q2.given()) {
      a.type2 = attn_type(q2.dtype);
      a.head_stride2 = q2.stride[0];
      a.stride2 = q2.stride[1];
      a.q2 = q2.row(u.t) + u.head * q2.stride[0] * q2.bytes;
    }
    if (p_.q_scale.given()) {
      a.scale_stride = p_.q_scale.stride[0];
      a.scale = p_.q_scale.row_as<const float>(u.t) + u.head * a.scale_stride;
      a.scale_second = p_.q_scale_second;
    }
    tier_.pack_query(shape(u, 0), a, lane.query);
  }

  // The keys of one piece into an empty state.
  void accumulate(Lane& lane, const Unit& u, int32_t scope_index, AttnCursor& cursor, int32_t piece,
                  AttnState& state) const {
    const AttnScope& scope = p_.scope[scope_index];
    const AttnShape s = shape(u, scope_index);
    const int32_t kv_head = u.head / (p_.heads / scope.kv_heads);
    AttnKeyAddresses& a = *lane.keys;
    state.keys = 0;
    cursor.start(piece);
    for (;;) {
      AttnKeys keys;
      keys.n = cursor.next(a.place, kAttnChunk);
      if (keys.n == 0) return;
      keys.k = rows(scope.piece[0].values, a, keys.n, kv_head, a.k);
      keys.k_scale = scales(scope.piece[0].scale, a, keys.n, kv_head, a.k_scale);
      if (s.k2.d > 0) {
        keys.k2 = rows(scope.piece[1].values, a, keys.n, kv_head, a.k2);
        keys.k2_scale = scales(scope.piece[1].scale, a, keys.n, kv_head, a.k2_scale);
      }
      if (s.v.d > 0) {
        keys.v = rows(scope.value.values, a, keys.n, kv_head, a.v);
        keys.v_scale = scales(scope.value.scale, a, keys.n, kv_head, a.v_scale);
      }
      tier_.accumulate(s, lane.query, keys, state, lane.scratch);
      if (keys.n < kAttnChunk) return;
    }
  }

  static const void* const* rows(const KeyTensor& tensor, const AttnKeyAddresses& a, int32_t n,
                                 int32_t head, const void** out) {
    for (int32_t j = 0; j < n; ++j) out[j] = tensor.at(a.place[j], head);
    return out;
  }

  static const float* const* scales(const KeyTensor& tensor, const AttnKeyAddresses& a, int32_t n,
                                    int32_t head, const float** out) {
    if (!tensor.given()) return nullptr;
    for (int32_t j = 0; j < n; ++j) {
      out[j] = reinterpret_cast<const float*>(tensor.at(a.place[j], head));
    }
    return out;
  }

  void run_unit(Lane& lane, int64_t index) const {
    const Unit u = unit(index);
    AttnState total = attn_state_at(lane.first, d_.heads);
    AttnState part = attn_state_at(lane.second, d_.heads);
    pack(lane, index, u);
    for (int32_t i = 0; i < p_.scopes; ++i) {
      AttnCursor cursor(p_.scope[i], pieces_[i], u.t);
      for (int32_t piece = 0; piece < pieces_[i].count; ++piece) {
        AttnState& to = total.keys == 0 ? total : part;
        accumulate(lane, u, i, cursor, piece, to);
        if (&to == &part) tier_.merge(shape(u, i), total, part);
      }
    }
    finish_attention(tier_, p_, u.t, u.head, u.heads, total);
  }

  void run_piece(Lane& lane, int64_t index, int32_t piece) const {
    const Unit u = unit(index);
    pack(lane, index, u);
    const int32_t scope = piece < pieces_[0].count ? 0 : 1;
    AttnCursor cursor(p_.scope[scope], pieces_[scope], u.t);
    AttnState state = partial(index, piece);
    accumulate(lane, u, scope, cursor, scope == 0 ? piece : piece - pieces_[0].count, state);
    keys_[index * d_.pieces + piece] = state.keys;
    if (done_[index].fetch_add(1, std::memory_order_acq_rel) + 1 < d_.pieces) return;
    AttnState total = attn_state_at(lane.first, d_.heads);
    for (int32_t i = 0; i < d_.pieces; ++i) {
      AttnState from = partial(index, i);
      from.keys = keys_[index * d_.pieces + i];
      if (from.keys == 0) continue;
      if (total.keys == 0) {
        total = from;  // goes on in the first piece's memory
      } else {
        tier_.merge(shape(u, 0), total, from);
      }
    }
    finish_attention(tier_, p_, u.t, u.head, u.heads, total);
  }

  AttnState partial(int64_t index, int32_t piece) const {
    return attn_state_at(states_ + uint64_t(index * d_.pieces + piece) * state_bytes_, d_.heads);
  }

  const AttnTier& tier_;
  const SparseAttnParams& p_;
  const AttnDivision d_;
  char* const workspace_;
  const uint64_t lane_bytes_;
  AttnLaneLayout layout_;
  AttnPieces pieces_[2];
  bool in_keys_[2] = {};
  uint64_t state_bytes_ = 0;
  std::atomic<int32_t>* done_ = nullptr;  // [units]: pieces that are ready
  int64_t* keys_ = nullptr;               // [units, pieces]
  char* states_ = nullptr;                // [units, pieces]
  std::atomic<int64_t> next_{0};
};

uint64_t workspace(const AttnTier& tier, const SparseAttnParams& p, int32_t lanes) {
  return uint64_t(lanes) * attn_lane_layout(tier, p).total + attn_partial_budget(p, lanes);
}

void launch(const AttnTier& tier, const SparseAttnParams& p, const Run& run) {
  if (p.rows == 0) return;
  const int32_t lanes = run.parallel->lanes_for(attn_ns(p));
  const AttnDivision d = attn_divide(p, lanes);
  const uint64_t lane_bytes = attn_lane_layout(tier, p).total;
  Attend attend(tier, p, d, run.workspace, lane_bytes,
                run.workspace + uint64_t(run.max_lanes()) * lane_bytes);
  run.lanes(lanes, [&](int32_t lane) { attend.run_lane(lane); });
}

template <const AttnTier& (*tier)()>
uint64_t workspace_tier(const SparseAttnParams& p, int32_t lanes) {
  return workspace(tier(), p, lanes);
}

template <const AttnTier& (*tier)()>
void launch_tier(const SparseAttnParams& p, const Run& run) {
  launch(tier(), p, run);
}

const char* refuse_none(const SparseAttnParams&) { return nullptr; }

#if defined(DSA_X86)
const char* refuse_amx(const SparseAttnParams& p) {
  if (p.q[0].dtype != DSA_BF16 || (p.q[1].given() && p.q[1].dtype != DSA_BF16)) {
    return "q is not bf16";
  }
  if (p.q_scale.given()) return "q_scale is given: a scaled query is not bf16";
  for (int32_t i = 0; i < p.scopes; ++i) {
    const AttnScope& scope = p.scope[i];
    const KeyPiece* const pieces[] = {&scope.piece[0],
                                      scope.pieces == 2 ? &scope.piece[1] : nullptr,
                                      p.value_dim > 0 ? &scope.value : nullptr};
    for (const KeyPiece* piece : pieces) {
      if (!piece) continue;
      if (piece->values.dtype != DSA_BF16) return "keys or values are not bf16";
      if (piece->scale.given()) return "keys or values have scales";
      if (piece->values.element_stride != 1 && piece->values.width > 1) {
        return "elements of a key are not adjacent";
      }
    }
  }
  // A tile has room for 16 heads; with fewer than 4 in it, vectors are faster.
  if (attn_group_heads(p) < 4) return "fewer than 4 heads share a key";
  return nullptr;
}
#endif

}  // namespace

constinit const Kernel kSparseAttnScalar =
    make_cpu_kernel<SparseAttnParams, refuse_none, workspace_tier<attn_tier_scalar>,
                    launch_tier<attn_tier_scalar>>("cpu.sparse_attn.scalar", "scalar",
                                                   CpuTier::kScalar);
#if defined(DSA_X86)
constinit const Kernel kSparseAttnAvx2 =
    make_cpu_kernel<SparseAttnParams, refuse_none, workspace_tier<attn_tier_avx2>,
                    launch_tier<attn_tier_avx2>>("cpu.sparse_attn.avx2", "avx2", CpuTier::kAvx2);
constinit const Kernel kSparseAttnAvx512 =
    make_cpu_kernel<SparseAttnParams, refuse_none, workspace_tier<attn_tier_avx512>,
                    launch_tier<attn_tier_avx512>>("cpu.sparse_attn.avx512", "avx512",
                                                   CpuTier::kAvx512);
constinit const Kernel kSparseAttnAmx =
    make_cpu_kernel<SparseAttnParams, refuse_amx, workspace_tier<attn_tier_amx>,
                    launch_tier<attn_tier_amx>>("cpu.sparse_attn.amx", "amx", CpuTier::kAmx);
#endif

}  // namespace dsa::cpu
