// dsa_sparse_attn on the CPU. A task is a query row and heads that read the same keys; where there
// are few, a task is also only one piece of the row's selection, and the lane that ends the last
// piece merges them. Both ways do the same arithmetic in the same order: bits do not depend on it.
#include "cpu/attention/attention.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <new>
#include <numeric>

#include "cpu/attention/finish.h"
#include "cpu/attention/selection.h"
#include "cpu/attention/tier.h"
#include "cpu/simd/float_mode.h"

namespace dsa::cpu {
namespace {

constexpr int32_t kMostTaskHeads = 128;
constexpr int32_t kLeastTaskHeads = 16;
constexpr uint64_t kMostPartialBytes = uint64_t{64} << 20;
constexpr int32_t kTasksPerLane = 3;

constexpr uint64_t align_up(uint64_t bytes) { return (bytes + 255) / 256 * 256; }

AttnType type_of(int32_t dtype) {
  switch (dtype) {
    case DSA_F32:
      return AttnType::kF32;
    case DSA_F16:
      return AttnType::kF16;
    case DSA_BF16:
      return AttnType::kBf16;
    default:
      return AttnType::kE4m3;
  }
}

AttnRows rows_of(const KeyPiece& piece, int32_t d) {
  AttnRows rows;
  rows.type = type_of(piece.values.dtype);
  rows.d = d;
  rows.stride = piece.values.element_stride;
  if (piece.scale.given()) {
    rows.group = piece.values.width / piece.scale.width;
    rows.group_stride = piece.scale.element_stride;
  }
  return rows;
}

bool same_rows(const KeyTensor& a, const KeyTensor& b) {
  return a.data == b.data && a.dtype == b.dtype && a.outer_stride == b.outer_stride &&
         a.inner_stride == b.inner_stride && a.head_stride == b.head_stride &&
         a.element_stride == b.element_stride;
}

// V is the first part of the keys, so one load of a row serves both products.
bool values_in_keys(const AttnScope& scope, int32_t dv) {
  const KeyPiece& k = scope.piece[0];
  const KeyPiece& v = scope.value;
  if (dv > k.values.width || !same_rows(k.values, v.values)) return false;
  if (!k.scale.given() && !v.scale.given()) return true;
  return k.values.width == v.values.width && k.scale.width == v.scale.width &&
         k.scale.given() == v.scale.given() && same_rows(k.scale, v.scale);
}

AttnShape shape_of(const SparseAttnParams& p, const AttnScope& scope, int32_t heads, bool apart) {
  AttnShape s;
  s.heads = heads;
  s.dv = p.value_dim;
  s.scale = p.scale;
  s.k = rows_of(scope.piece[0], scope.piece[0].values.width);
  if (scope.pieces == 2) s.k2 = rows_of(scope.piece[1], scope.piece[1].values.width);
  if (apart && p.value_dim > 0) s.v = rows_of(scope.value, p.value_dim);
  return s;
}

// Heads that share keys in both scopes.
int32_t group_heads(const SparseAttnParams& p) {
  int32_t heads = p.heads;
  for (int32_t i = 0; i < p.scopes; ++i) {
    heads = std::gcd(heads, p.heads / p.scope[i].kv_heads);
  }
  return heads;
}

// One lane's memory: query, two states, tile scratch, key addresses.
struct LaneLayout {
  uint64_t query, state, scratch, keys, total;
};

struct KeyAddresses {
  KeyPlace place[kAttnChunk];
  const void* k[kAttnChunk];
  const void* k2[kAttnChunk];
  const void* v[kAttnChunk];
  const float* k_scale[kAttnChunk];
  const float* k2_scale[kAttnChunk];
  const float* v_scale[kAttnChunk];
};

uint64_t state_bytes(int32_t heads, int32_t dv) {
  const int64_t h = attn_padded(heads);
  return align_up(uint64_t(h * 4)) * 2 + align_up(uint64_t(h * attn_padded(dv) * 4));
}

AttnState state_at(char* memory, int32_t heads) {
  const uint64_t numbers = align_up(uint64_t(attn_padded(heads) * 4));
  AttnState s;
  s.max = reinterpret_cast<float*>(memory);
  s.sum = reinterpret_cast<float*>(memory + numbers);
  s.out = reinterpret_cast<float*>(memory + 2 * numbers);
  return s;
}

// Sized as if V lay apart, since a size query has no data pointers to compare, and for all heads in
// one group: more KV heads must not shrink it.
LaneLayout lane_layout(const AttnTier& tier, const SparseAttnParams& p) {
  const int32_t heads = std::min(p.heads, kMostTaskHeads);
  LaneLayout l{};
  for (int32_t i = 0; i < p.scopes; ++i) {
    const AttnShape s = shape_of(p, p.scope[i], heads, true);
    l.query = std::max<uint64_t>(l.query, align_up(tier.query_bytes(s)));
    l.scratch = std::max<uint64_t>(l.scratch, align_up(tier.scratch_bytes(s)));
  }
  l.state = state_bytes(heads, p.value_dim);
  l.keys = align_up(sizeof(KeyAddresses));
  l.total = l.query + 2 * l.state + l.scratch + l.keys;
  return l;
}

// How the work is cut into tasks. None of it changes a bit of the results.
struct Division {
  int32_t group = 1;     // heads that share keys
  int32_t heads = 1;     // of a task
  int32_t parts = 1;     // tasks of a group
  int64_t units = 0;     // rows x groups x parts
  int32_t pieces = 1;    // of a row
  bool divided = false;  // a task is one piece
};

// Memory of a division into pieces: a counter a unit, key counts and states.
struct PartialLayout {
  uint64_t keys, states, state, total;
};

PartialLayout partial_layout(const SparseAttnParams& p, const Division& d) {
  const uint64_t states = uint64_t(d.units) * uint64_t(d.pieces);
  PartialLayout l;
  l.keys = align_up(uint64_t(d.units) * sizeof(std::atomic<int32_t>));
  l.states = l.keys + align_up(states * sizeof(int64_t));
  l.state = state_bytes(d.heads, p.value_dim);
  l.total = l.states + states * l.state;
  return l;
}

// What a call may use for them: room for the rows that are divided with heads in groups of 4 or
// more, whose states are padded to 16.
uint64_t partial_budget(const SparseAttnParams& p, int32_t lanes) {
  if (lanes == 1) return 0;
  uint64_t pieces = 0;
  for (int32_t i = 0; i < p.scopes; ++i) pieces += uint64_t(attn_most_pieces(p.scope[i]));
  const int64_t rows = std::min<int64_t>(p.rows, int64_t{kTasksPerLane} * lanes);
  const uint64_t row = 4 * state_bytes(p.heads, p.value_dim) + 2048;
  return align_up(std::min(uint64_t(rows) * pieces * row, kMostPartialBytes));
}

// Tasks of fewer heads where there are too few tasks; not below 16 heads: every task converts the
// keys anew.
void divide_heads(const SparseAttnParams& p, int64_t wanted, Division& d) {
  const int64_t groups = p.rows * (p.heads / d.group);
  d.heads = std::min(d.group, kMostTaskHeads);
  for (;;) {
    d.parts = (d.group + d.heads - 1) / d.heads;
    d.units = groups * d.parts;
    if (d.heads <= kLeastTaskHeads || d.units * (d.divided ? d.pieces : 1) >= wanted) return;
    d.heads = (d.heads / 2 + 15) / 16 * 16;
  }
}

Division divide(const SparseAttnParams& p, int32_t lanes) {
  Division d;
  d.group = group_heads(p);
  d.pieces = 0;
  for (int32_t i = 0; i < p.scopes; ++i) d.pieces += attn_pieces(p.scope[i]).count;
  divide_heads(p, 1, d);
  const int64_t wanted = int64_t{kTasksPerLane} * lanes;
  if (lanes == 1 || d.units >= wanted) return d;
  d.divided = d.pieces > 1;
  divide_heads(p, wanted, d);
  if (d.divided && partial_layout(p, d).total > partial_budget(p, lanes)) {
    d.divided = false;
    divide_heads(p, wanted, d);
  }
  return d;
}

class Attend {
 public:
  Attend(const AttnTier& tier, const SparseAttnParams& p, const Division& d, char* workspace,
         uint64_t lane_bytes, char* partials)
      : tier_(tier), p_(p), d_(d), workspace_(workspace), lane_bytes_(lane_bytes) {
    layout_ = lane_layout(tier, p);
    for (int32_t i = 0; i < p.scopes; ++i) {
      pieces_[i] = attn_pieces(p.scope[i]);
      in_keys_[i] = values_in_keys(p.scope[i], p.value_dim);
    }
    if (!d.divided) return;
    const PartialLayout l = partial_layout(p, d);
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
    char* first;   // state memory
    char* second;
    KeyAddresses* keys;
    int64_t packed = -1;  // the unit whose query is packed
    Lane(const Attend& a, char* memory) {
      const LaneLayout& l = a.layout_;
      query = memory;
      first = query + l.query;
      second = first + l.state;
      scratch = second + l.state;
      keys = new (scratch + l.scratch) KeyAddresses;
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
    AttnShape s = shape_of(p_, p_.scope[scope], u.heads, !in_keys_[scope]);
    s.few_heads = d_.group <= tier_.few_heads;
    return s;
  }

  void pack(Lane& lane, int64_t index, const Unit& u) const {
    if (lane.packed == index) return;
    lane.packed = index;
    const RowTensor& q = p_.q[0];
    const RowTensor& q2 = p_.q[1];
    AttnQuery a;
    a.type = type_of(q.dtype);
    a.head_stride = q.stride[0];
    a.stride = q.stride[1];
    a.q = q.row(u.t) + u.head * q.stride[0] * q.bytes;
    if (q2.given()) {
      a.type2 = type_of(q2.dtype);
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
    KeyAddresses& a = *lane.keys;
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

  static const void* const* rows(const KeyTensor& tensor, const KeyAddresses& a, int32_t n,
                                 int32_t head, const void** out) {
    for (int32_t j = 0; j < n; ++j) out[j] = tensor.at(a.place[j], head);
    return out;
  }

  static const float* const* scales(const KeyTensor& tensor, const KeyAddresses& a, int32_t n,
                                    int32_t head, const float** out) {
    if (!tensor.given()) return nullptr;
    for (int32_t j = 0; j < n; ++j) {
      out[j] = reinterpret_cast<const float*>(tensor.at(a.place[j], head));
    }
    return out;
  }

  void run_unit(Lane& lane, int64_t index) const {
    const Unit u = unit(index);
    AttnState total = state_at(lane.first, d_.heads);
    AttnState part = state_at(lane.second, d_.heads);
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
    AttnState total = state_at(lane.first, d_.heads);
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
    return state_at(states_ + uint64_t(index * d_.pieces + piece) * state_bytes_, d_.heads);
  }

  const AttnTier& tier_;
  const SparseAttnParams& p_;
  const Division d_;
  char* const workspace_;
  const uint64_t lane_bytes_;
  LaneLayout layout_;
  AttnPieces pieces_[2];
  bool in_keys_[2] = {};
  uint64_t state_bytes_ = 0;
  std::atomic<int32_t>* done_ = nullptr;  // [units]: pieces that are ready
  int64_t* keys_ = nullptr;               // [units, pieces]
  char* states_ = nullptr;                // [units, pieces]
  std::atomic<int64_t> next_{0};
};

// A key costs about 0.03 ns an element of q and v on one core; a parallel region 5 to 10 us.
int32_t choose_lanes(const SparseAttnParams& p, int32_t most) {
  double keys = 0;
  for (int32_t i = 0; i < p.scopes; ++i) {
    const AttnScope& scope = p.scope[i];
    keys += double(std::min(scope.max_selected(), scope.selection == DSA_SELECTION_SLOTS
                                                      ? int64_t{scope.k}
                                                      : scope.rows.max_length()));
  }
  const int32_t dims = int32_t(p.q[0].extent[1]) + p.value_dim;
  const double ns = double(p.rows) * (500.0 + keys * p.heads * dims * 0.03);
  const double lanes = ns / 5000.0;
  return lanes < 2.0 ? 1 : int32_t(std::min<double>(most, lanes));
}

uint64_t workspace(const AttnTier& tier, const SparseAttnParams& p, int32_t lanes) {
  return uint64_t(lanes) * lane_layout(tier, p).total + partial_budget(p, lanes);
}

void launch(const AttnTier& tier, const SparseAttnParams& p, const Run& run) {
  if (p.rows == 0) return;
  const int32_t lanes = choose_lanes(p, run.max_lanes());
  const Division d = divide(p, lanes);
  const uint64_t lane_bytes = lane_layout(tier, p).total;
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
    const KeyPiece* const pieces[] = {&scope.piece[0], scope.pieces == 2 ? &scope.piece[1] : nullptr,
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
  if (group_heads(p) < 4) return "fewer than 4 heads share a key";
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
