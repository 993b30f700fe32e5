"""Which keys a query sees, without a mask in memory.

transformers asks for a mask `[B, 1, S, T]` once a forward pass. Causal order, padding on either
side, packed sequences and sliding windows leave every query one range of keys, so the answer is
those ranges, `[B, 1, S, 2]` int32: (first, end). At 128K tokens that is 1 MB in place of 16 GB. A
mask with holes stays what it is.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import masking_utils

_BLOCK = 1 << 26  # elements of a mask that is looked at at once


@torch.compiler.disable
def visible_keys(batch_size: int, q_length: int, kv_length: int, q_offset: Any = 0,
                 kv_offset: int = 0, mask_function: Any = masking_utils.causal_mask_function,
                 attention_mask: torch.Tensor | None = None, device: Any = "cpu",
                 use_vmap: bool = False, **_ignored: Any) -> torch.Tensor:
    """The mask function registered as "libdsa": ranges [B, 1, S, 2] i32, or a mask [B, 1, S, T]."""
    padding = masking_utils.prepare_padding_mask(attention_mask, kv_length, kv_offset)
    window = _causal_window(mask_function)
    if window is not None:
        if padding is not None:  # of all keys; a sliding window's cache has let go of the first
            padding = padding[:, kv_offset:kv_offset + kv_length]
        ranges = _causal(batch_size, q_length, kv_length, q_offset - kv_offset, window, padding,
                         device)
        if ranges is not None:
            return ranges

    def mask(first: int, rows: int) -> torch.Tensor:
        return masking_utils.sdpa_mask(
            batch_size=batch_size, q_length=rows, kv_length=kv_length, q_offset=q_offset + first,
            kv_offset=kv_offset, mask_function=mask_function, attention_mask=attention_mask,
            allow_is_causal_skip=False, use_vmap=use_vmap, device=device)

    step = max(1, _BLOCK // max(1, batch_size * kv_length))
    ranges = []
    for first in range(0, q_length, step):
        found, whole = _ranges(mask(first, min(step, q_length - first))[:, 0])
        if not whole:
            return mask(0, q_length)
        ranges.append(found)
    return torch.cat(ranges, 1)[:, None]


def _ranges(mask: torch.Tensor) -> tuple[torch.Tensor, bool]:
    """mask [B, S, T] -> ranges [B, S, 2], and whether they say all of it."""
    count = mask.sum(-1)
    bits = mask.to(torch.uint8)
    begin = bits.argmax(-1)
    end = mask.shape[-1] - bits.flip(-1).argmax(-1)
    end = torch.where(count > 0, end, begin)
    return torch.stack((begin, end), -1).to(torch.int32), bool((end - begin == count).all())


def _causal_window(function: Any) -> int | None:
    """0 for causal order, w for causal order in a sliding window of w keys, None for another
    function. transformers makes the second anew for each mask, out of two functions."""
    if function is masking_utils.causal_mask_function:
        return 0
    if getattr(function, "__code__", None) is not _SLIDING.__code__:
        return None
    parts = function.__closure__[0].cell_contents
    if len(parts) != 2 or parts[1] is not masking_utils.causal_mask_function or \
            getattr(parts[0], "__code__", None) is not _OVERLAY.__code__:
        return None
    return parts[0].__closure__[0].cell_contents


_SLIDING = masking_utils.sliding_window_causal_mask_function(1)
_OVERLAY = masking_utils.sliding_window_overlay(1)


def _causal(batch: int, rows: int, keys: int, offset: Any, window: int,
            padding: torch.Tensor | None, device: Any) -> torch.Tensor | None:
    """Ranges of causal order, a window (0: none) and padding [B, keys]; None where a row's padding
    has holes."""
    last = torch.arange(1, rows + 1, device=device) + offset
    end = last.clamp(0, keys).expand(batch, rows)
    begin = (last - window).clamp(0, keys).expand(batch, rows) if window else torch.zeros_like(end)
    if padding is not None:
        seen, whole = _ranges(padding.to(device=device, dtype=torch.bool)[:, None])
        if not whole:
            return None
        end = torch.minimum(end, seen[..., 1])
        begin = torch.maximum(begin, seen[..., 0])
    begin = torch.minimum(begin, end)
    return torch.stack((begin, end), -1).to(torch.int32)[:, None]


def mask_of_ranges(ranges: torch.Tensor, keys: int) -> torch.Tensor:
    """ranges [B, 1, S, 2] -> mask [B, 1, S, keys]"""
    key = torch.arange(keys, device=ranges.device)
    return (key >= ranges[..., :1]) & (key < ranges[..., 1:])


def rows_of(mask: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """Fields of libdsa for ranges [B, S, 2] or a mask [B, S, T]."""
    if mask is None:
        return {}
    if mask.dtype == torch.int32:
        return {"row_begin": mask[..., 0], "row_end": mask[..., 1]}
    return {"mask": mask}


class Visible:
    """A mask of the mask function, on its way through code that would take it for a tensor [.., T]
    and combine it with a selection."""

    dtype = torch.bool

    def __init__(self, mask: torch.Tensor):
        self.mask = mask

    def is_floating_point(self) -> bool:
        return False

    def __and__(self, selection: Any) -> Any:
        return selection
