"""The attention function that transformers calls under the name "libdsa"."""

from __future__ import annotations

from typing import Any

import torch

import libdsa
import libdsa.torch as ops

from ._blocks import block_attention
from ._compressed import Scopes
from ._masks import Visible, rows_of
from ._pooled import Blocks

# Bytes of a block of latent queries: at 128 heads, latent 512 and bf16 1024 rows.
_BLOCK = 128 << 20


def attention(module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor | Scopes,
              value: torch.Tensor | Scopes,
              attention_mask: torch.Tensor | Visible | Blocks | None,
              scaling: float | None = None, dropout: float = 0.0,
              indices: torch.Tensor | None = None, s_aux: torch.Tensor | None = None,
              block_indices: torch.Tensor | None = None,
              **_ignored: Any) -> tuple[torch.Tensor, None]:
    """query [B, H, S, D]; key [B, Hkv, T, D] and value [B, Hkv, T, Dv], or of a module with latent
    keys its latents [B, 1, T, L] and their rope part [B, 1, T, R], or of one with compressed keys
    `Scopes`, which are their own values -> [B, S, H, Dv].

    The selection is `indices` [B, S, k], or blocks of keys for each KV head, `block_indices`
    [B, Hkv, S, k]; without them, what `attention_mask` shows.
    """
    if dropout:
        raise NotImplementedError(f"libdsa.transformers: dropout is {dropout}, must be 0")
    if scaling is None:
        scaling = query.shape[-1] ** -0.5
    fields: dict[str, Any] = {"scale": scaling, "key_layout": libdsa.LAYOUT_BATCH}
    if s_aux is not None:
        fields["sink"] = s_aux.float()
    if isinstance(attention_mask, Visible):
        attention_mask = attention_mask.mask
    selected = _selection(attention_mask, indices)
    if block_indices is not None:
        return block_attention(query, key, value, block_indices, module.indexer.block_size,
                               rows_of(attention_mask[:, 0]), fields), None
    query = query.transpose(1, 2)
    if key is value and (isinstance(key, Scopes) or key.shape[1] == 1):
        scopes = key if isinstance(key, Scopes) else Scopes(key, {})
        out, _ = ops.sparse_attn(query, scopes.window[:, 0], value_dim=query.shape[-1], **selected,
                                 **scopes.fields, **fields)
        return out, None
    if getattr(module, "libdsa_latent", False):
        return _latent(module, query, key[:, 0], value[:, 0], selected, fields), None
    out, _ = ops.sparse_attn(query, key.transpose(1, 2), value_dim=value.shape[-1],
                             v=value.transpose(1, 2), **selected, **fields)
    return out, None


def _selection(mask: torch.Tensor | Blocks | None,
               indices: torch.Tensor | None) -> dict[str, Any]:
    if isinstance(mask, Blocks):
        return mask.fields
    if indices is None and mask is not None and mask.ndim == 3:
        indices = mask  # of a model that hands its selection over as a mask
    if indices is not None:
        return {"indices": indices}
    if mask is None:
        raise NotImplementedError("libdsa.transformers: attention has neither indices nor a mask")
    return {"indices": None, "selection": libdsa.SELECTION_ALL, **rows_of(mask[:, 0])}


def _latent(module: torch.nn.Module, query: torch.Tensor, latent: torch.Tensor,
            rope: torch.Tensor, selected: dict[str, Any], fields: dict[str, Any]) -> torch.Tensor:
    """MLA in absorbed form: a head's key is W_k latent, so its product with the query is that of
    W_k^T query with the latent, one for all heads; and W_v is applied to what comes out."""
    batch, rows, heads, _ = query.shape
    width = latent.shape[-1]
    plain = query.shape[-1] - rope.shape[-1]
    weight = _expansion(module.kv_b_proj, width, query).view(heads, -1, width)
    to_keys, to_values = weight[:, :plain], weight[:, plain:]

    def block(first: int, step: int) -> torch.Tensor:
        part = query[:, first:first + step]
        q = torch.einsum("bshn,hnl->bshl", part[..., :plain], to_keys)
        pieces = {"q2": part[..., plain:], "kv2": rope} if rope.shape[-1] else {}
        mine = {name: field[:, first:first + step] if _has_rows(name, field) else field
                for name, field in selected.items()}
        out, _ = ops.sparse_attn(q, latent, value_dim=width, **pieces, **mine, **fields)
        return torch.einsum("bshl,hvl->bshv", out, to_values)

    step = max(1, _BLOCK // (batch * heads * width * query.element_size()))
    if step >= rows:
        return block(0, rows)
    return torch.cat([block(first, step) for first in range(0, rows, step)], 1)


def _has_rows(name: str, field: Any) -> bool:
    return isinstance(field, torch.Tensor) and name in ("indices", "row_begin", "row_end", "mask")


def _expansion(layer: torch.nn.Module, width: int, like: torch.Tensor) -> torch.Tensor:
    """The matrix [H * (N + V), L] of kv_b_proj, whatever form the layer keeps it in."""
    if type(layer) is torch.nn.Linear and layer.weight.dtype == like.dtype:
        return layer.weight
    return layer(torch.eye(width, dtype=like.dtype, device=like.device)).t()
