"""The operations: one function each, with the fields of its descriptor as keyword arguments.

What all of them share:

* Tensors are numpy arrays, objects with `__dlpack__` (PyTorch, JAX, CuPy), buffers, or
  `libdsa.Tensor`. Nothing is copied, any strides are taken. `[T, ...]` may be `[B, T/B, ...]`.
  dtypes: float32, float16, bfloat16 and float8_e4m3fn (ml_dtypes), uint8 or bool, int32.
* Outputs: an array is filled and returned; True allocates a numpy array; None or False leaves the
  output out. With none given, the ones named first in "Returns" are allocated.
* Visible keys of a row: `row_begin`, `row_end` [T], or `seq_lens` [B] (with `next_n`), or
  `flags=CAUSAL` with `offset`, or all; `ratio` divides the ends; then `mask` [T, columns] hides
  single keys. `row_request` [T] names each row's request. Integers are i32.
* `ctx`: the Context (None: the default one). `stream`, `workspace`, `plan`, `parallel_user`: as in
  dsa_exec. CPU operations are finished on return; CUDA operations are enqueued on `stream`, and
  their tensors must live until it has passed them.
* Errors: a subclass of DsaError; nothing was written then.

include/dsa.h is the manual of every field.
"""

from __future__ import annotations

import ctypes
import inspect
from typing import Any, Callable, NamedTuple

from . import _abi
from ._call import PREPARE, Call, Fields, Operation, Plan
from ._context import Context
from ._errors import InvalidError
from ._load import lib
from ._tensor import Tensor, dtype_code, dtype_of

Array = Any  # numpy array, DLPack object, buffer or libdsa.Tensor
Output = Any  # an Array to write, True, False or None


class TopkResult(NamedTuple):
    """What `topk` and `indexer_topk` select; None where it was not asked for."""
    indices: Any  # [T, k] i32, -1 past counts
    values: Any  # [T, k], -inf past counts
    counts: Any  # [T] i32
    slots: Any  # [T, k] i32
    cut_score: Any  # [T] f32
    cut_index: Any  # [T] i32


class AttnResult(NamedTuple):
    """What `sparse_attn` and `merge_lse` give; None where it was not asked for."""
    out: Any  # [T, H, Dv]
    lse: Any  # [T, H] f32
    max: Any  # [T, H] f32


def _columns(f: Fields) -> int:
    """Columns of a score row: the keys that one request can have."""
    keys, layout = f["keys"], f["key_layout"]
    if layout == _abi.LAYOUT_PAGES:
        table = f["block_table"]
        packed = f["key_format"] == _abi.FORMAT_KEY_PAGE_132
        if table is None or len(keys.shape) < 2:
            raise InvalidError("indexer: LAYOUT_PAGES needs block_table and [pages, page_size, ..]")
        return table.shape[-1] * (f["page_size"] if packed else keys.shape[1])
    columns = keys.shape[1 if layout == _abi.LAYOUT_BATCH and len(keys.shape) > 1 else 0]
    if f["max_keys"] > 0 and f["flags"] & _abi.COLUMNS_FROM_BEGIN:
        columns = min(columns, f["max_keys"])
    return columns


def _rows(tensor: Any, inner: int, where: str) -> tuple[int, ...]:
    """The leading [T] or [B, T/B] of a tensor with `inner` further axes."""
    if len(tensor.shape) <= inner:
        raise InvalidError(f"{where}.ndim is {len(tensor.shape)}, must be {inner + 1} or "
                           f"{inner + 2}")
    return tuple(tensor.shape[:len(tensor.shape) - inner])


def _indexer_shapes(f: Fields) -> dict[str, tuple]:
    return {"scores": (_rows(f["q"], 2, "indexer.q") + (_columns(f),),
                       dtype_code(f["out_dtype"] or "float32"))}


def _selected_shapes(rows: tuple[int, ...], f: Fields, values: int) -> dict[str, tuple]:
    if f["k"] < 1:
        raise InvalidError(f"k is {f['k']}, must be at least 1")
    wide = rows + (f["k"],)
    return {"indices": (wide, _abi.I32), "values": (wide, values), "counts": (rows, _abi.I32),
            "slots": (wide, _abi.I32), "cut_score": (rows, _abi.F32), "cut_index": (rows, _abi.I32)}


def _topk_shapes(f: Fields) -> dict[str, tuple]:
    scores = f["scores"]
    return _selected_shapes(_rows(scores, 1, "topk.scores"), f, dtype_of(scores, "topk.scores"))


def _indexer_topk_shapes(f: Fields) -> dict[str, tuple]:
    return _selected_shapes(_rows(f["q"], 2, "indexer_topk.q"), f, _abi.F32)


def _sparse_attn_complete(f: Fields) -> None:
    # k follows from the width of the indices.
    for k, indices in (("k", "indices"), ("k_b", "indices_b")):
        if f[k] is None:
            f[k] = 0 if f[indices] is None else f[indices].shape[-1]


def _sparse_attn_shapes(f: Fields) -> dict[str, tuple]:
    q, kv, v = f["q"], f["kv"], f["v"]
    rows = _rows(q, 2, "sparse_attn.q")
    value_dim = f["value_dim"]
    if value_dim is None:
        if v is not None:
            value_dim = v.shape[-1]
        else:
            value_dim = 512 if f["key_format"] == _abi.FORMAT_KV_FP8_656 else kv.shape[-1]
    code = dtype_of(q, "sparse_attn.q") if f["out_dtype"] is None else dtype_code(f["out_dtype"])
    if code == _abi.F8_E4M3FN and f["out_dtype"] is None:
        code = _abi.F32
    heads = rows + (q.shape[-2],)
    return {"out": (heads + (value_dim,), code), "lse": (heads, _abi.F32),
            "max": (heads, _abi.F32)}


def _merge_lse_shapes(f: Fields) -> dict[str, tuple]:
    heads = tuple(f["partial_lse"].shape[1:])
    shapes = {"lse": (heads, _abi.F32), "max": (heads, _abi.F32)}
    partial = f["partial_out"]
    if partial is not None:
        code = dtype_of(partial, "merge_lse.partial_out") if f["out_dtype"] is None \
            else dtype_code(f["out_dtype"])
        shapes["out"] = (tuple(partial.shape[1:]), code)
    elif f["out"]:
        raise InvalidError("merge_lse.out needs partial_out")
    return shapes


def _merge_lse_complete(f: Fields) -> None:
    if f["partial_out"] is None and f["out"] is None and f["lse"] is None and f["max"] is None:
        f["lse"] = True


_SELECTED = "indices values counts slots cut_score cut_index"
_INDEXER = Operation("indexer", _abi.OP_INDEXER, _abi.IndexerDesc, "scores", "scores",
                     _indexer_shapes, lambda scores: scores)
_TOPK = Operation("topk", _abi.OP_TOPK, _abi.TopkDesc, _SELECTED, "indices values counts",
                  _topk_shapes, TopkResult)
_INDEXER_TOPK = Operation("indexer_topk", _abi.OP_INDEXER_TOPK, _abi.IndexerTopkDesc, _SELECTED,
                          "indices values counts", _indexer_topk_shapes, TopkResult)
_SPARSE_ATTN = Operation("sparse_attn", _abi.OP_SPARSE_ATTN, _abi.SparseAttnDesc, "out lse max",
                         "out lse", _sparse_attn_shapes, AttnResult, _sparse_attn_complete)
_MERGE_LSE = Operation("merge_lse", _abi.OP_MERGE_LSE, _abi.MergeLseDesc, "out lse max",
                       "out lse", _merge_lse_shapes, AttnResult, _merge_lse_complete)


def indexer(q: Array, keys: Array, w: Array | None = None, *, flags: int = 0, batch: int = 0,
            offset: int = 0, max_keys: int = 0, next_n: int = 0, ratio: int = 0,
            key_layout: int = _abi.LAYOUT_ROWS, key_format: int = _abi.FORMAT_PLAIN,
            page_size: int = 0, shard_rank: int = 0, shard_ranks: int = 0,
            shard_interleave: int = 0, q_scale: Array | None = None,
            k_scale: Array | None = None, block_table: Array | None = None,
            row_request: Array | None = None, row_begin: Array | None = None,
            row_end: Array | None = None, seq_lens: Array | None = None,
            mask: Array | None = None, scores: Output = None, out_dtype: Any = None,
            ctx: Context | None = None, stream: int | None = None,
            workspace: Array | None = None, plan: Plan | None = None,
            parallel_user: int | None = None) -> Any:
    """Scores of all keys (DeepSeek's lightning indexer):

        scores[t,s] = k_scale[s] * sum_h w[t,h] * relu(q_scale[t,h] * q[t,h,:] . keys[s,:])

    q [T, Hi, Di] f32 f16 bf16 e4m3fn; keys [S, Di], [pages, page_size, Di] with block_table
    [B, max_pages], [B, S, Di], or packed; w [T, Hi] (None: 1); q_scale [1] or [T, Hi]; k_scale [S]
    as keys, or [1]. Keys that are not visible get -inf.

    Flags: CAUSAL, COLUMNS_FROM_BEGIN, KEEP_INVISIBLE, NO_RELU.
    Returns scores [T, columns]: f32, or `out_dtype` ("bfloat16").
    """
    return _INDEXER.run(locals())


def topk(scores: Array, k: int, *, flags: int = 0, batch: int = 0, offset: int = 0,
         max_keys: int = 0, next_n: int = 0, ratio: int = 0, page_size: int = 0,
         order: int = _abi.ORDER_INDEX, ties: int = _abi.TIES_SMALLER_INDEX,
         slot_page_size: int = 0, slot_page_stride: int = 0, force_first: int = 0,
         force_last: int = 0, select_block: int = 0, shard_rank: int = 0, shard_ranks: int = 0,
         shard_interleave: int = 0, block_table: Array | None = None,
         row_request: Array | None = None, row_begin: Array | None = None,
         row_end: Array | None = None, seq_lens: Array | None = None,
         mask: Array | None = None, index_base: Array | None = None,
         slot_table: Array | None = None, hint_indices: Array | None = None,
         hint_bound: Array | None = None, candidates: Array | None = None,
         candidate_blocks: Array | None = None, indices: Output = None, slots: Output = None,
         values: Output = None, counts: Output = None, cut_score: Output = None,
         cut_index: Output = None, ctx: Context | None = None, stream: int | None = None,
         workspace: Array | None = None, plan: Plan | None = None,
         parallel_user: int | None = None) -> TopkResult:
    """The k largest of each row of scores [T, columns] (f32 f16 bf16), exactly.

    Of equal scores the smaller index wins; NaN and -inf are never selected (SELECT_NEG_INF: -inf
    is). Indices ascend (`order`: ORDER_INDEX, ORDER_SCORE, ORDER_ANY). Rows with fewer than k
    selectable keys are filled up with -1 and -inf. `slots` are the same keys through slot_table or
    block_table. cut_score and cut_index [T] say the same in 8 bytes a row.

    Flags: CAUSAL, COLUMNS_FROM_BEGIN, SELECT_NEG_INF.
    Returns TopkResult: indices, values [T, k], counts [T]; and slots, cut_score, cut_index.
    """
    return _TOPK.run(locals())


def indexer_topk(q: Array, keys: Array, w: Array | None, k: int, *, flags: int = 0,
                 batch: int = 0, offset: int = 0, max_keys: int = 0, next_n: int = 0,
                 ratio: int = 0, key_layout: int = _abi.LAYOUT_ROWS,
                 key_format: int = _abi.FORMAT_PLAIN, page_size: int = 0,
                 order: int = _abi.ORDER_INDEX, ties: int = _abi.TIES_SMALLER_INDEX,
                 slot_page_size: int = 0, slot_page_stride: int = 0, force_first: int = 0,
                 force_last: int = 0, select_block: int = 0, shard_rank: int = 0,
                 shard_ranks: int = 0, shard_interleave: int = 0, q_scale: Array | None = None,
                 k_scale: Array | None = None, block_table: Array | None = None,
                 row_request: Array | None = None, row_begin: Array | None = None,
                 row_end: Array | None = None, seq_lens: Array | None = None,
                 mask: Array | None = None, index_base: Array | None = None,
                 slot_table: Array | None = None, hint_indices: Array | None = None,
                 hint_bound: Array | None = None, candidates: Array | None = None,
                 candidate_blocks: Array | None = None, indices: Output = None,
                 slots: Output = None, values: Output = None, counts: Output = None,
                 cut_score: Output = None, cut_index: Output = None, ctx: Context | None = None,
                 stream: int | None = None, workspace: Array | None = None,
                 plan: Plan | None = None, parallel_user: int | None = None) -> TopkResult:
    """`indexer` (f32 scores) and `topk` in one, without the score matrix in memory; the same bits.

    q [T, Hi, Di], keys, w [T, Hi] or None, scales as in `indexer`; the rest as in `topk`.

    Flags: CAUSAL, COLUMNS_FROM_BEGIN, NO_RELU, SELECT_NEG_INF.
    Returns TopkResult: indices, values [T, k], counts [T]; and slots, cut_score, cut_index.
    """
    return _INDEXER_TOPK.run(locals())


def sparse_attn(q: Array, kv: Array, indices: Array | None = None, *, scale: float,
                k: int | None = None, flags: int = 0, batch: int = 0, offset: int = 0,
                max_keys: int = 0, next_n: int = 0, ratio: int = 0,
                key_layout: int = _abi.LAYOUT_ROWS, key_format: int = _abi.FORMAT_PLAIN,
                page_size: int = 0, selection: int = _abi.SELECTION_INDICES,
                index_block: int = 0, slot_page_size: int = 0, slot_page_stride: int = 0,
                k_b: int | None = None, key_layout_b: int = _abi.LAYOUT_ROWS,
                key_format_b: int = _abi.FORMAT_PLAIN, page_size_b: int = 0,
                selection_b: int = _abi.SELECTION_INDICES, slot_page_size_b: int = 0,
                slot_page_stride_b: int = 0, q2: Array | None = None, kv2: Array | None = None,
                v: Array | None = None, kv_scale: Array | None = None,
                v_scale: Array | None = None, q_scale: Array | None = None,
                block_table: Array | None = None, row_request: Array | None = None,
                row_begin: Array | None = None, row_end: Array | None = None,
                seq_lens: Array | None = None, mask: Array | None = None,
                index_base: Array | None = None, counts: Array | None = None,
                scores: Array | None = None, cut_score: Array | None = None,
                cut_index: Array | None = None, sink: Array | None = None,
                kv_b: Array | None = None, kv2_b: Array | None = None,
                v_b: Array | None = None, kv_scale_b: Array | None = None,
                v_scale_b: Array | None = None, block_table_b: Array | None = None,
                row_begin_b: Array | None = None, row_end_b: Array | None = None,
                indices_b: Array | None = None, counts_b: Array | None = None,
                out: Output = None, lse: Output = None, max: Output = None,
                value_dim: int | None = None, out_dtype: Any = None,
                ctx: Context | None = None, stream: int | None = None,
                workspace: Array | None = None, plan: Plan | None = None,
                parallel_user: int | None = None) -> AttnResult:
    """Attention of each row over the keys it selects:

        z[t,h,j] = scale * q[t,h,:] . kv[i_j,:]
        out[t,h,:] = sum_j exp(z[t,h,j]) v[i_j,:] / (sum_j exp(z[t,h,j]) + exp(sink[h]))
        lse[t,h] = log sum_j exp(z[t,h,j]),   max[t,h] = max_j z[t,h,j]

    q [T, H, D]; kv [S, D] (V: its first value_dim elements), or kv [S, Hkv, D] with v
    [S, Hkv, Dv]; [pages, page_size, ...] with block_table, or [B, S, ...], for [S, ...]. q2 and kv2
    are a second piece of the product; kv_b, indices_b, ... a second scope in the same softmax.

    indices [T, >= k] i32 as `topk` writes them (k None: all of their columns), -1 and invisible
    keys are skipped; selection=SELECTION_SLOTS: slots; SELECTION_CUT: scores with cut_score and
    cut_index; SELECTION_ALL: every visible key.

    Without `out`, value_dim is v's last extent, else kv's (512 for FORMAT_KV_FP8_656), and
    out_dtype that of q (f32 for FP8).

    Flags: CAUSAL, COLUMNS_FROM_BEGIN, SELECT_NEG_INF, BLOCK_TAIL, LSE_BASE2, LSE_WITH_SINK,
    LSE_EMPTY_POS_INF.
    Returns AttnResult: out [T, H, Dv], lse [T, H] f32; and max [T, H] f32.
    """
    return _SPARSE_ATTN.run(locals())


def merge_lse(partial_out: Array | None, partial_lse: Array, *, flags: int = 0,
              partial_max: Array | None = None, sink: Array | None = None, out: Output = None,
              lse: Output = None, max: Output = None, out_dtype: Any = None,
              ctx: Context | None = None, stream: int | None = None,
              workspace: Array | None = None, plan: Plan | None = None,
              parallel_user: int | None = None) -> AttnResult:
    """Merges P partial results of the same queries over disjoint keys, made without the sink:

        lse[t,h] = log sum_p exp(partial_lse[p,t,h])
        out[t,h,:] = sum_p exp(partial_lse[p,t,h]) partial_out[p,t,h,:]
                     / (exp(lse[t,h]) + exp(sink[h]))

    partial_out [P, T, H, Dv] or None (lse and max alone), partial_lse, partial_max [P, T, H] f32,
    sink [H] f32. A part with lse -inf does not count.

    Flags: LSE_BASE2, LSE_WITH_SINK, LSE_EMPTY_POS_INF.
    Returns AttnResult: out [T, H, Dv] (out_dtype; default partial_out's), lse [T, H] f32; and max.
    """
    return _MERGE_LSE.run(locals())


def _forward_call(fields: Fields) -> Call:
    select, attend = fields["select"], fields["attend"]
    if not isinstance(getattr(select, "desc", None), _abi.IndexerTopkDesc):
        raise TypeError("forward.select must be prepare(indexer_topk, ...)")
    if not isinstance(getattr(attend, "desc", None), _abi.SparseAttnDesc):
        raise TypeError("forward.attend must be prepare(sparse_attn, ...)")
    desc = _abi.ForwardDesc(
        struct_size=ctypes.sizeof(_abi.ForwardDesc), kind=_abi.OP_FORWARD, flags=fields["flags"],
        route=fields["route"], gpu_busy=fields["gpu_busy"], memory_limit=fields["memory_limit"],
        select=ctypes.pointer(select.desc), attend=ctypes.pointer(attend.desc))
    if fields["ctx"] is None and fields["plan"] is None:
        fields["ctx"] = attend.context
    if fields["stream"] is None:
        fields["stream"] = attend.stream
    return Call(lib.dsa_forward, desc, fields, attend.result)


def forward(select: Call, attend: Call, *, flags: int = 0, route: int = _abi.ROUTE_AUTO,
            gpu_busy: float = 0.0, memory_limit: int = 0, ctx: Context | None = None,
            stream: int | None = None, workspace: Array | None = None,
            plan: Plan | None = None, parallel_user: int | None = None) -> AttnResult:
    """Selection and attention of one layer in one call: `select` is prepare(indexer_topk, ...),
    `attend` prepare(sparse_attn, ...) without indices; outputs of select that were given are filled
    too. route: ROUTE_AUTO (the one predicted to be the fastest), ROUTE_GPU, ROUTE_CPU, or, for
    tensors on the GPU, ROUTE_HYBRID or ROUTE_HYBRID_PREFILTER (the CPU selects). gpu_busy: share of
    the GPU that other work takes, 0 to 1. memory_limit: bytes of workspace, 0: no limit.

    Returns attend's AttnResult.
    """
    return _forward_call(locals())()


def _register(function: Callable[..., Any], make: Callable[..., Call]) -> None:
    signature = inspect.signature(function)
    parameters = signature.parameters.values()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    defaults = {p.name: p.default for p in parameters}
    required = [p.name for p in parameters if p.default is p.empty]

    def prepare(arguments: tuple, keywords: dict, allocate: bool) -> Call:
        given = dict(zip(positional, arguments))
        fields = {**defaults, **given, **keywords}
        # As a call binds them. signature.bind takes many times as long; it says what is wrong.
        if (len(arguments) > len(positional) or len(fields) > len(defaults) or
                not given.keys().isdisjoint(keywords) or
                any(fields[name] is inspect.Parameter.empty for name in required)):
            signature.bind(*arguments, **keywords)
        return make(fields) if make is _forward_call else make(fields, allocate)

    PREPARE[function] = prepare


for _function, _make in ((indexer, _INDEXER.call), (topk, _TOPK.call),
                         (indexer_topk, _INDEXER_TOPK.call), (sparse_attn, _SPARSE_ATTN.call),
                         (merge_lse, _MERGE_LSE.call), (forward, _forward_call)):
    _register(_function, _make)

__all__ = ["AttnResult", "TopkResult", "Tensor", "forward", "indexer", "indexer_topk", "merge_lse",
           "sparse_attn", "topk"]
