"""DeepSeek-V4: attention to a window of keys and, in the same softmax, to compressed ones.

A layer's compressor makes one key of every `compress_rate` tokens; in some layers an indexer
selects among them. Compressor and indexer are the model's own. What they say of the compressed keys
in tensors of [S, C] is not made: a selection stays a list of indices, causal order an end for each
row, and the window's keys are not copied in front of the compressed ones. Attention gets the two as
they lie, as `Scopes`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

import libdsa

from ._deferred import unknown
from ._masks import Visible


class Scopes:
    """Keys of the window [B, 1, W, D], and of the second scope what `sparse_attn` calls kv_b and
    so on; in the place of one tensor of keys."""

    def __init__(self, window: torch.Tensor, fields: dict[str, Any]):
        self.window = window
        self.fields = fields


class _Compressed:
    """Compressed keys [B, 1, C, D], on their way to be put behind the window's."""

    def __init__(self, keys: torch.Tensor, **read: Any):
        self.fields = {"kv_b": keys[:, 0], "key_layout_b": libdsa.LAYOUT_BATCH, **read}

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is not torch.cat or len(args[0]) != 2 or not isinstance(args[0][1], cls):
            raise unknown(getattr(func, "__name__", func), "compressed keys")
        window, compressed = args[0]
        return Scopes(window, compressed.fields if compressed.fields["kv_b"].shape[1] else {})


class WindowAttention:
    """Mixed into attention, with compressed keys or without."""

    @torch.compiler.disable
    def forward(self, hidden_states: torch.Tensor, position_embeddings: Any,
                position_ids: torch.Tensor, attention_mask: torch.Tensor, *arguments: Any,
                **keywords: Any) -> Any:
        return super().forward(hidden_states, position_embeddings, position_ids,
                               Visible(attention_mask), *arguments, **keywords)


class Compressor:
    """Mixed into a compressor without an indexer: queries read all keys up to their own."""

    def forward(self, hidden_states: torch.Tensor, query: torch.Tensor,
                position_ids: torch.Tensor, *arguments: Any, **keywords: Any) -> Any:
        # It makes no mask for a single query, and does nothing else with their positions.
        keys, _ = super().forward(hidden_states, query, position_ids[:, :1], *arguments, **keywords)
        read = {"selection_b": libdsa.SELECTION_ALL}
        batch, rows = hidden_states.shape[:2]
        if rows > 1:
            ends = torch.div(position_ids + 1, self.compress_rate, rounding_mode="floor")
            read["row_end_b"] = ends.clamp(0, keys.shape[2]).expand(batch, rows).to(torch.int32)
        return _Compressed(keys, **read), None


class IndexedCompressor:
    """Mixed into a compressor with an indexer."""

    def forward(self, hidden_states: torch.Tensor, *arguments: Any, **keywords: Any) -> Any:
        with _BiasMode(hidden_states.shape[1]):
            keys, bias = super().forward(hidden_states, *arguments, **keywords)
        if not isinstance(bias, _Bias) or bias.shown is None:
            raise unknown("a mask of another kind", "compressed keys")
        return _Compressed(keys, indices_b=bias.shown), None


class _BiasMode(TorchFunctionMode):
    """While it is on, [B, 1, S, C + 1] of -inf, made from the compressed keys [B, 1, C, D], is a
    `_Bias`."""

    def __init__(self, rows: int):
        super().__init__()
        self.rows = rows

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.new_full and len(args) == 3 and args[2] == -math.inf:
            keys = args[0].shape
            if len(keys) == 4 and tuple(args[1]) == (keys[0], 1, self.rows, keys[2] + 1):
                return _Bias()
        return func(*args, **(kwargs or {}))


class _Bias:
    """0 at the indices that are scattered into it, [B, S, k]; -inf elsewhere, and in its last
    column, which is cut off: attention skips an index past the keys."""

    shown = None

    def scatter_(self, axis: int, indices: torch.Tensor, value: float) -> None:
        if axis != -1 or value != 0.0 or self.shown is not None:
            raise unknown(f"scatter_({axis}, {value})", "compressed keys")
        self.shown = indices[:, 0].to(torch.int32)

    def __getitem__(self, columns: Any) -> _Bias:
        if not isinstance(columns, tuple) or columns[0] is not Ellipsis or len(columns) != 2:
            raise unknown(f"[{columns}]", "compressed keys")
        return self
