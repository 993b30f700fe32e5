"""The operations as PyTorch custom operators, `torch.ops.libdsa.*`, for the CPU and CUDA.

    import libdsa.torch
    scores = libdsa.torch.indexer(q, keys, w)
    indices, values, counts = libdsa.torch.topk(scores, 2048)
    indices, values, counts = libdsa.torch.indexer_topk(q, keys, w, 2048, flags=libdsa.CAUSAL)
    out, lse = libdsa.torch.sparse_attn(q, kv, indices, 192**-0.5, 512)

They run on the current stream, can be captured in CUDA graphs, and have fake kernels, so that
torch.compile and torch.export see shapes through them. Forward only: no gradient. Their arguments
are a part of what `libdsa.topk` and the others take (which take PyTorch's tensors too); their
meaning is that of include/dsa.h.
"""

# No `from __future__ import annotations`: PyTorch reads the operators' schemas from them.
import contextlib
from typing import Optional

import torch

import libdsa

__all__ = ["indexer", "indexer_topk", "merge_lse", "sparse_attn", "topk"]

_Optional = Optional[torch.Tensor]
_Selected = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
_Attended = tuple[torch.Tensor, torch.Tensor]


_CODES = {getattr(torch, name): getattr(libdsa, code) for name, code in (
    ("float32", "F32"), ("float16", "F16"), ("bfloat16", "BF16"), ("float8_e4m3fn", "F8_E4M3FN"),
    ("uint8", "U8"), ("bool", "U8"), ("int32", "I32"))}


def _view(value):
    """A strided CPU tensor as libdsa.Tensor: a decode step has dozens, and DLPack is ten times
    slower. Any other as it is, for libdsa to take, with its stream, or to refuse."""
    code = _CODES.get(value.dtype)
    if value.device.type != "cpu" or code is None or value.layout is not torch.strided:
        return value.detach()
    return libdsa.Tensor(value.data_ptr(), value.shape, code, value.stride(), owner=value)


def _run(function, q, *arguments, **keywords):
    """Calls an operation of libdsa on q's device, with workspace from PyTorch's allocator: the
    library's own pool cannot be used while a graph is captured."""
    arguments = [_view(a) if isinstance(a, torch.Tensor) else a for a in (q, *arguments)]
    keywords = {name: _view(a) if isinstance(a, torch.Tensor) else a
                for name, a in keywords.items()}
    on_gpu = q.device.type == "cuda"
    with torch.cuda.device(q.device) if on_gpu else contextlib.nullcontext():
        call = libdsa.prepare(function, *arguments, **keywords)
        if on_gpu:
            size = call.workspace_size()
            if size > 0:
                call.use_workspace(torch.empty(size, dtype=torch.uint8, device=q.device))
        call()


def _empty_selection(rows: torch.Tensor, shape: tuple, k: int, dtype: torch.dtype) -> _Selected:
    return (rows.new_empty((*shape, k), dtype=torch.int32), rows.new_empty((*shape, k), dtype=dtype),
            rows.new_empty(shape, dtype=torch.int32))


def _columns(keys: torch.Tensor, key_layout: int, key_format: int, page_size: int,
             block_table: _Optional) -> int:
    """Columns of a score row: the keys that one request can have."""
    if key_layout == libdsa.LAYOUT_PAGES:
        if block_table is None:
            raise ValueError("libdsa.indexer: LAYOUT_PAGES needs block_table")
        packed = key_format == libdsa.FORMAT_KEY_PAGE_132
        return block_table.shape[-1] * (page_size if packed else keys.shape[1])
    return keys.shape[1 if key_layout == libdsa.LAYOUT_BATCH else 0]


@torch.library.custom_op("libdsa::topk", mutates_args=())
def topk(scores: torch.Tensor, k: int, row_begin: _Optional = None, row_end: _Optional = None,
         seq_lens: _Optional = None, row_request: _Optional = None, mask: _Optional = None,
         flags: int = 0, offset: int = 0, max_keys: int = 0, next_n: int = 0, ratio: int = 0,
         order: int = 0, ties: int = 0) -> _Selected:
    """scores [T, columns] -> indices [T, k] i32, values [T, k], counts [T] i32"""
    out = _empty_selection(scores, scores.shape[:-1], k, scores.dtype)
    _run(libdsa.topk, scores, k, row_begin=row_begin, row_end=row_end, seq_lens=seq_lens,
         row_request=row_request, mask=mask, flags=flags, offset=offset, max_keys=max_keys,
         next_n=next_n, ratio=ratio, order=order, ties=ties, indices=out[0], values=out[1],
         counts=out[2])
    return out


@topk.register_fake
def _(scores, k, *_arguments, **_keywords):
    return _empty_selection(scores, scores.shape[:-1], k, scores.dtype)


@torch.library.custom_op("libdsa::indexer", mutates_args=())
def indexer(q: torch.Tensor, keys: torch.Tensor, w: _Optional = None, q_scale: _Optional = None,
            k_scale: _Optional = None, block_table: _Optional = None,
            row_begin: _Optional = None, row_end: _Optional = None, seq_lens: _Optional = None,
            row_request: _Optional = None, mask: _Optional = None, flags: int = 0,
            offset: int = 0, max_keys: int = 0, next_n: int = 0, ratio: int = 0,
            key_layout: int = 0, key_format: int = 0, page_size: int = 0) -> torch.Tensor:
    """q [T, Hi, Di], keys [S, Di], w [T, Hi] -> scores [T, S] f32"""
    columns = _columns(keys, key_layout, key_format, page_size, block_table)
    scores = q.new_empty((*q.shape[:-2], columns), dtype=torch.float32)
    _run(libdsa.indexer, q, keys, w, q_scale=q_scale, k_scale=k_scale, block_table=block_table,
         row_begin=row_begin, row_end=row_end, seq_lens=seq_lens, row_request=row_request,
         mask=mask, flags=flags, offset=offset, max_keys=max_keys, next_n=next_n, ratio=ratio,
         key_layout=key_layout, key_format=key_format, page_size=page_size, scores=scores)
    return scores


@indexer.register_fake
def _(q, keys, w=None, q_scale=None, k_scale=None, block_table=None, row_begin=None, row_end=None,
      seq_lens=None, row_request=None, mask=None, flags=0, offset=0, max_keys=0, next_n=0, ratio=0,
      key_layout=0, key_format=0, page_size=0):
    columns = _columns(keys, key_layout, key_format, page_size, block_table)
    return q.new_empty((*q.shape[:-2], columns), dtype=torch.float32)


@torch.library.custom_op("libdsa::indexer_topk", mutates_args=())
def indexer_topk(q: torch.Tensor, keys: torch.Tensor, w: _Optional, k: int,
                 q_scale: _Optional = None, k_scale: _Optional = None,
                 block_table: _Optional = None, row_begin: _Optional = None,
                 row_end: _Optional = None, seq_lens: _Optional = None,
                 row_request: _Optional = None, mask: _Optional = None, flags: int = 0,
                 offset: int = 0, max_keys: int = 0, next_n: int = 0, ratio: int = 0,
                 key_layout: int = 0, key_format: int = 0, page_size: int = 0, order: int = 0,
                 ties: int = 0) -> _Selected:
    """q [T, Hi, Di], keys [S, Di], w [T, Hi] -> indices [T, k] i32, values [T, k] f32, counts [T]"""
    out = _empty_selection(q, q.shape[:-2], k, torch.float32)
    _run(libdsa.indexer_topk, q, keys, w, k, q_scale=q_scale, k_scale=k_scale,
         block_table=block_table, row_begin=row_begin, row_end=row_end, seq_lens=seq_lens,
         row_request=row_request, mask=mask, flags=flags, offset=offset, max_keys=max_keys,
         next_n=next_n, ratio=ratio, key_layout=key_layout, key_format=key_format,
         page_size=page_size, order=order, ties=ties, indices=out[0], values=out[1],
         counts=out[2])
    return out


@indexer_topk.register_fake
def _(q, keys, w, k, *_arguments, **_keywords):
    return _empty_selection(q, q.shape[:-2], k, torch.float32)


@torch.library.custom_op("libdsa::sparse_attn", mutates_args=())
def sparse_attn(q: torch.Tensor, kv: torch.Tensor, indices: _Optional, scale: float,
                value_dim: int, v: _Optional = None, counts: _Optional = None,
                sink: _Optional = None, kv_scale: _Optional = None,
                block_table: _Optional = None, row_begin: _Optional = None,
                row_end: _Optional = None, seq_lens: _Optional = None,
                row_request: _Optional = None, selection: int = 0, flags: int = 0,
                offset: int = 0, next_n: int = 0, ratio: int = 0, key_layout: int = 0,
                key_format: int = 0, page_size: int = 0, slot_page_size: int = 0,
                slot_page_stride: int = 0, index_block: int = 0, q2: _Optional = None,
                kv2: _Optional = None, mask: _Optional = None, kv_b: _Optional = None,
                indices_b: _Optional = None, row_begin_b: _Optional = None,
                row_end_b: _Optional = None, selection_b: int = 0,
                key_layout_b: int = 0) -> _Attended:
    """q [T, H, D], kv [S, D], indices [T, k] (None: selection=SELECTION_ALL), a second piece
    q2 [T, H, D2], kv2 [S, D2], a second scope kv_b [S', D], indices_b [T, k'] (None:
    selection_b=SELECTION_ALL) -> out [T, H, Dv] of q's dtype (FP8: bfloat16), lse [T, H] f32"""
    out = _empty_attention(q, value_dim)
    _run(libdsa.sparse_attn, q, kv, indices, scale=scale, v=v, counts=counts, sink=sink,
         kv_scale=kv_scale, block_table=block_table, row_begin=row_begin, row_end=row_end,
         seq_lens=seq_lens, row_request=row_request, selection=selection, flags=flags,
         offset=offset, next_n=next_n, ratio=ratio, key_layout=key_layout, key_format=key_format,
         page_size=page_size, slot_page_size=slot_page_size, slot_page_stride=slot_page_stride,
         index_block=index_block, q2=q2, kv2=kv2, mask=mask, kv_b=kv_b, indices_b=indices_b,
         row_begin_b=row_begin_b, row_end_b=row_end_b, selection_b=selection_b,
         key_layout_b=key_layout_b, out=out[0], lse=out[1])
    return out


def _empty_attention(q: torch.Tensor, value_dim: int) -> _Attended:
    dtype = torch.bfloat16 if q.dtype == torch.float8_e4m3fn else q.dtype
    return (q.new_empty((*q.shape[:-1], value_dim), dtype=dtype),
            q.new_empty(q.shape[:-1], dtype=torch.float32))


@sparse_attn.register_fake
def _(q, kv, indices, scale, value_dim, *_arguments, **_keywords):
    return _empty_attention(q, value_dim)


@torch.library.custom_op("libdsa::merge_lse", mutates_args=())
def merge_lse(partial_out: torch.Tensor, partial_lse: torch.Tensor, sink: _Optional = None,
              flags: int = 0) -> _Attended:
    """partial_out [P, T, H, Dv], partial_lse [P, T, H] -> out [T, H, Dv], lse [T, H]"""
    out = torch.empty_like(partial_out[0]), torch.empty_like(partial_lse[0])
    _run(libdsa.merge_lse, partial_out, partial_lse, sink=sink, flags=flags, out=out[0],
         lse=out[1])
    return out


@merge_lse.register_fake
def _(partial_out, partial_lse, *_arguments, **_keywords):
    return torch.empty_like(partial_out[0]), torch.empty_like(partial_lse[0])
