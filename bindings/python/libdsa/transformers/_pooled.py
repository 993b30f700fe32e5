"""Qwen's sparse attention (QSA): blocks of `compress_ratio` keys are scored by one pooled key.

Its own indexer goes through queries one by one in Python, so here is one of ours: pooled keys of
all blocks, `dsa_indexer_topk` over them, and attention that reads whole blocks and the keys after
the last complete one. Blocks are counted from a query's first visible key, so all queries of a row
of the batch must begin at the same key; for packed texts and masks with holes the model's own
indexer runs, and attention gets its mask.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

import libdsa
import libdsa.torch as ops

from ._masks import Visible, mask_of_ranges


class Blocks:
    """A selection of blocks, in the place of an attention mask."""

    def __init__(self, indices: torch.Tensor, begin: torch.Tensor, end: torch.Tensor, ratio: int):
        self.fields = {"indices": indices, "row_begin": begin, "row_end": end,
                       "index_block": ratio, "flags": libdsa.BLOCK_TAIL}


class PooledAttention:
    """Mixed into the attention module: its indexer's selection takes the mask's place."""

    def forward(self, hidden_states: torch.Tensor, position_embeddings: Any,
                attention_mask: torch.Tensor, *arguments: Any, **keywords: Any) -> Any:
        return super().forward(hidden_states, position_embeddings, Visible(attention_mask),
                               *arguments, **keywords)


class PooledIndexer:
    """Mixed into the indexer."""

    @torch.no_grad()
    def forward(self, hidden_states: torch.Tensor, position_embeddings: Any, visible: Visible,
                cache: Any) -> Blocks | torch.Tensor:
        mask = visible.mask
        if mask.dtype != torch.int32:
            return self._own(hidden_states, position_embeddings, mask, cache)
        begin, end = mask[:, 0, :, 0], mask[:, 0, :, 1]
        first = torch.where(end > begin, begin, torch.iinfo(torch.int32).max).amin(1)
        if mask.shape[2] > 1 and not bool(((begin == first[:, None]) | (end <= begin)).all()):
            keys = position_embeddings[0].shape[1]
            return self._own(hidden_states, position_embeddings, mask_of_ranges(mask, keys), cache)

        rope = sys.modules[type(self).__module__].apply_rotary_pos_emb
        cos, sin = position_embeddings
        batch, rows, _ = hidden_states.shape
        queries, keys = self.index_qk_proj(hidden_states).split(
            [self.index_n_heads * self.index_head_dim, self.index_head_dim], -1)
        q = self.q_layernorm(queries.reshape(batch, rows, -1, self.index_head_dim))
        q = rope(q, cos=cos[:, -rows:], sin=sin[:, -rows:], unsqueeze_dim=2)
        if cache is not None:
            keys = cache.update_indexer(keys, self.layer_idx)
        pooled = self._pool(keys, first.clamp(max=keys.shape[1]), cos, sin, rope)
        indices, _, _ = ops.indexer_topk(
            q, pooled, None, self.block_topk, key_layout=libdsa.LAYOUT_BATCH,
            row_end=torch.div(end - begin, self.compress_ratio, rounding_mode="floor"))
        return Blocks(indices, begin, end, self.compress_ratio)

    def _own(self, hidden_states: torch.Tensor, position_embeddings: Any, mask: torch.Tensor,
             cache: Any) -> torch.Tensor:
        return mask.bool() & super().forward(hidden_states, position_embeddings, mask, cache)

    def _pool(self, keys: torch.Tensor, first: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor,
              rope: Any) -> torch.Tensor:
        """keys [B, T, D] -> [B, T / ratio, D]: means of blocks that count from key first[b],
        normed, and rotated by the position of the block's first key."""
        batch, length, width = keys.shape
        blocks = max(1, length // self.compress_ratio)
        offsets = torch.arange(blocks * self.compress_ratio, device=keys.device)
        places = (first.long()[:, None] + offsets).clamp(max=length - 1)
        grouped = keys.gather(1, places[..., None].expand(-1, -1, width))
        pooled = grouped.view(batch, blocks, -1, width).float().mean(2).to(keys.dtype)
        starts = places[:, ::self.compress_ratio].clamp(max=cos.shape[1] - 1)
        starts = starts[..., None].expand(-1, -1, cos.shape[-1])
        cos, sin = (table.expand(batch, -1, -1).gather(1, starts) for table in (cos, sin))
        return rope(self.k_layernorm(pooled).unsqueeze(1), cos=cos, sin=sin).squeeze(1)
