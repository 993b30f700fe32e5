"""MiniMax-M3: an indexer whose heads select for a KV head each, and whole blocks of keys.

A block counts by its largest score. The scores of all keys are there for a part of the queries at a
time, as many as take 128 MiB: `dsa_indexer` for single heads, the largest of each block, `dsa_topk`
over blocks. Attention reads the keys of the selected blocks, each KV head those of its own.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F

import libdsa
import libdsa.torch as ops

from ._deferred import Deferred, Largest, unknown

_BLOCK = 128 << 20  # bytes of scores, or of indices, that are made at once


class BlockScores(Deferred):
    """What the model does with the scores of its heads [B, heads, S, T], of q [B, heads, S, D] and
    keys [B, T, D]: queries [B, S] see the keys before `ends`; keys are padded to whole blocks, each
    block gets its largest score, some are set to `infinity`, k are selected."""

    def __init__(self, q: torch.Tensor, keys: torch.Tensor, ends: torch.Tensor):
        self.q = q
        self.keys = keys
        self.ends = ends
        self.padding = 0
        self.block = 0
        self.pooled = False
        self.forced = None

    def pad(self, sides: tuple[int, int], mode: str, value: float) -> BlockScores:
        if len(sides) != 2 or sides[0] != 0 or mode != "constant" or value != -math.inf:
            raise unknown(f"pad({sides}, {value})")
        self.padding = sides[1]
        return self

    def view(self, *shape: int) -> BlockScores:
        length = self.keys.shape[1] + self.padding
        if self.block or shape[:3] != self.q.shape[:3] or len(shape) != 5 or \
                shape[3] * shape[4] != length:
            raise unknown(f"view{shape}")
        self.block = shape[4]
        return self

    def amax(self, dim: int) -> BlockScores:
        if not self.block or dim not in (-1, 4):
            raise unknown(f"amax(dim={dim})")
        self.pooled = True
        return self

    def scatter_(self, dim: int, index: torch.Tensor, value: float) -> None:
        if not self.pooled or dim not in (-1, 3) or value != math.inf or self.forced is not None:
            raise unknown(f"scatter_({dim}, {value})")
        self.forced = index

    def topk(self, k: int, dim: int = -1) -> Largest:
        if not self.pooled or dim not in (-1, 3):
            raise unknown("topk")
        batch, heads, rows, _ = self.q.shape
        step = max(1, _BLOCK // (4 * batch * heads * self.keys.shape[1]))
        parts = [self._part(k, slice(first, first + step)) for first in range(0, rows, step)]
        return Largest(*(torch.cat(of_parts, 2) for of_parts in zip(*parts)))

    def _part(self, k: int, part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Values and indices [B, heads, rows, k] of a part of the rows."""
        q = self.q[:, :, part]
        shape = q.shape[:3]
        ends = self.ends[:, None, part].expand(shape).flatten(1)
        scores = ops.indexer(q.flatten(1, 2).unsqueeze(2), self.keys, None, flags=libdsa.NO_RELU,
                             key_layout=libdsa.LAYOUT_BATCH, row_end=ends)
        scores = F.pad(scores, (0, self.padding), value=-math.inf)
        scores = scores.view(*shape, -1, self.block).amax(-1)
        if self.forced is not None:
            scores.scatter_(-1, self.forced[:, :, part], math.inf)
        indices, values, _ = ops.topk(scores.flatten(0, 2), k)
        return values.view(*shape, k), indices.view(*shape, k)


def block_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
                    blocks: torch.Tensor, block: int, ranges: dict[str, Any],
                    fields: dict[str, Any]) -> torch.Tensor:
    """query [B, H, S, D], key [B, Hkv, T, D], value [B, Hkv, T, Dv]; of each KV head the blocks
    [B, Hkv, S, k], -1 for none, of `block` keys -> [B, S, H, Dv]. A KV head is a row of the batch.
    """
    batch, kv_heads, rows, _ = blocks.shape
    inside = torch.arange(block, device=blocks.device, dtype=torch.int32)

    def part(rows: slice) -> torch.Tensor:
        q = query[:, :, rows].unflatten(1, (kv_heads, -1)).transpose(2, 3).flatten(0, 1)
        first = blocks[:, :, rows].flatten(0, 1).to(torch.int32)[..., None] * block
        indices = torch.where(first < 0, -1, first + inside).flatten(-2)
        mine = {name: field[:, rows].repeat_interleave(kv_heads, 0)
                for name, field in ranges.items()}
        out, _ = ops.sparse_attn(q, key.flatten(0, 1), indices, v=value.flatten(0, 1),
                                 value_dim=value.shape[-1], **mine, **fields)
        return out.unflatten(0, (batch, kv_heads)).transpose(1, 2).flatten(2, 3)

    step = max(1, _BLOCK // (4 * block * blocks[:, :, 0].numel()))
    return torch.cat([part(slice(first, first + step)) for first in range(0, rows, step)], 1)
