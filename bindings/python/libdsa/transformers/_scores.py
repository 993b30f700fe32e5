"""A model's own indexer, with the scores left out.

Indexers differ from model to model in where their queries come from, in rope and norms, and agree
in what follows: scores of all keys, ReLU, a weighted sum over heads, a mask, the largest k. That
part is what libdsa does, and the part that needs `[B, S, heads, T]` of memory. So the model's own
`forward` runs under a mode in which the product of queries and keys is not computed: it becomes an
object that takes down what is done to it, up to `topk`, which calls `dsa_indexer_topk`. A step that
is not known is an error, never another result.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

import libdsa
import libdsa.torch as ops

from ._blocks import BlockScores
from ._deferred import Beyond, Deferred, Largest, Widened, narrow_of, unknown, whole
from ._masks import rows_of

_MATMUL = (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__)
_RELU = (F.relu, torch.relu)
_BEYOND = (torch.Tensor.ge, torch.Tensor.gt)
_WATCHED = {torch.Tensor.float, torch.arange, *_BEYOND, *_MATMUL, *_RELU}


class ScoreMode(TorchFunctionMode):
    """While it is on, products of queries [B, S, H, D] and keys [B, 1, D, T] are `_Products`."""

    def __init__(self):
        super().__init__()
        self.counting = []  # 0, 1, 2, ...: key numbers, to tell causal order by

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func not in _WATCHED and _MINE.isdisjoint(types):
            return func(*args, **kwargs)
        if func is torch.arange:
            out = func(*args, **kwargs)
            if len(args) == 1 and kwargs.keys() <= {"device"}:
                self.counting.append(out)
            return out
        if func in _BEYOND and len(args) == 2 and self._are_keys_and_ends(*args):
            return Beyond(*args, strict=func is torch.Tensor.gt)
        if func is torch.Tensor.float and args[0].dtype in (torch.bfloat16, torch.float16):
            return Widened(args[0])
        if func in _MATMUL and len(args) == 2:
            left, right = (narrow_of(a) for a in args)
            if isinstance(right, _Products):
                return right.weigh(whole(left))
            if _are_queries_and_keys(left, right):
                return _Products(left, right[:, 0].transpose(-1, -2))
        if func in _RELU and isinstance(args[0], _Products):
            return args[0].relu()
        if func is F.pad and isinstance(args[0], BlockScores):
            return args[0].pad(*args[1:], **kwargs)
        args = [whole(a) for a in args]
        if any(isinstance(a, Deferred) for a in args):
            raise unknown(getattr(func, "__name__", func))
        return func(*args, **kwargs)

    def _are_keys_and_ends(self, keys: Any, ends: Any) -> bool:
        """[1, 1, T], a view of key numbers, and [B, S, 1]; or [1, 1, 1, T] and [B, 1, S, 1]"""
        return (isinstance(keys, torch.Tensor) and isinstance(ends, torch.Tensor) and
                not ends.is_floating_point() and
                keys.ndim == ends.ndim and keys.ndim in (3, 4) and
                keys.numel() == keys.shape[-1] and ends.shape[-1] == 1 and
                (keys.ndim == 3 or ends.shape[1] == 1) and
                any(keys.data_ptr() == counting.data_ptr() and keys.numel() == counting.numel()
                    for counting in self.counting))


def _are_queries_and_keys(left: Any, right: Any) -> bool:
    return (isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor) and
            left.ndim == 4 and right.ndim == 4 and right.shape[1] == 1 and
            left.shape[0] == right.shape[0] and left.shape[-1] == right.shape[-2])


class _Products(Deferred):
    """scale * q [B, S, H, D] . keys [B, T, D], or relu of it."""

    def __init__(self, q: torch.Tensor, keys: torch.Tensor, scale: float = 1.0,
                 positive: bool = False):
        self.q = q
        self.keys = keys
        self.scale = scale
        self.positive = positive

    def __mul__(self, factor):
        factor = whole(factor)
        if isinstance(factor, torch.Tensor):
            return _Weighted(self, factor)
        if not isinstance(factor, (int, float)) or not factor > 0 or math.isinf(factor):
            raise unknown(f"* {factor}")  # only a positive factor passes through a ReLU
        return _Products(self.q, self.keys, self.scale * factor, self.positive)

    __rmul__ = __mul__

    def masked_fill(self, hidden: Beyond, fill: float) -> BlockScores:
        """Not summed over heads: `q` is [B, heads, S, D] then, and so is each head's own score."""
        if not isinstance(hidden, Beyond) or hidden.bound.ndim != 4 or fill != -math.inf:
            raise unknown(f"masked_fill({fill})")
        if self.scale != 1.0 or self.positive:
            raise unknown("masked_fill before the sum over heads")
        return BlockScores(self.q, self.keys, hidden.ranges()[..., 1])

    def relu(self) -> _Products:
        return _Products(self.q, self.keys, self.scale, True)

    def weigh(self, weights: torch.Tensor) -> _Scores:
        """weights [B, S, 1, H] -> scores [B, S, 1, T]"""
        if weights.ndim != 4 or weights.shape[-2] != 1 or weights.shape[-1] != self.q.shape[-2]:
            raise unknown("matmul")
        weights = weights.squeeze(-2)
        if self.scale != 1.0:
            weights = weights * self.scale
        return _Scores(self, weights, flat=False)


class _Weighted(Deferred):
    """Products times weights [B, S, H, 1], to be summed over heads."""

    def __init__(self, products: _Products, weights: torch.Tensor):
        if weights.ndim != 4 or weights.shape[-1] != 1:
            raise unknown("* (a tensor)")
        self.products = products
        self.weights = weights

    def sum(self, dim: int) -> _Scores:
        if dim not in (-2, 2):
            raise unknown(f"sum(dim={dim})")
        return self.products.weigh(self.weights.transpose(-1, -2)).squeeze(-2)


class _Scores(Deferred):
    """Scores [B, S, T], or [B, S, 1, T] before `flat`."""

    dtype = torch.float32

    def __init__(self, products: _Products, weights: torch.Tensor, flat: bool, mask: Any = None,
                 fill: float = -math.inf):
        self.products = products
        self.weights = weights
        self.flat = flat
        self.mask = mask
        self.fill = fill

    @property
    def shape(self) -> torch.Size:
        batch, rows = self.products.q.shape[:2]
        keys = self.products.keys.shape[1]
        return torch.Size((batch, rows, keys) if self.flat else (batch, rows, 1, keys))

    @property
    def device(self) -> torch.device:
        return self.products.q.device

    def squeeze(self, axis: int) -> _Scores:
        if self.flat or axis not in (-2, 2):
            raise unknown("squeeze")
        return _Scores(self.products, self.weights, True)

    def masked_fill(self, hidden: torch.Tensor, fill: float) -> _Scores:
        if not self.flat or self.mask is not None or fill > torch.finfo(torch.float32).min:
            raise unknown(f"masked_fill({fill})")
        if isinstance(hidden, Beyond) and math.isinf(fill):
            return _Scores(self.products, self.weights, True, hidden.ranges(), fill)
        return _Scores(self.products, self.weights, True, ~hidden, fill)

    def __add__(self, mask: torch.Tensor) -> _Scores:
        if not self.flat or self.mask is not None:
            raise unknown("+")
        return _Scores(self.products, self.weights, True, mask)

    def topk(self, k: int, dim: int = -1) -> Largest:
        if not self.flat or dim not in (-1, 2):
            raise unknown("topk")
        q, keys = self.products.q, self.products.keys
        if k == 0:  # DeepSeek-V4 before its first compressed key
            return Largest(q.new_empty((*q.shape[:2], 0), dtype=torch.float32),
                            q.new_empty((*q.shape[:2], 0), dtype=torch.int32))
        if q.dtype != keys.dtype:
            q = q.to(keys.dtype if keys.dtype == torch.float32 else torch.float32)
        mask = self.mask
        if mask is not None and mask.shape[0] != q.shape[0]:
            mask = mask.expand(q.shape[0], *mask.shape[1:])
        flags = 0 if self.products.positive else libdsa.NO_RELU
        indices, values, _ = ops.indexer_topk(q, keys, self.weights, k, flags=flags,
                                              key_layout=libdsa.LAYOUT_BATCH, **rows_of(mask))
        if math.isfinite(self.fill):
            # Hidden keys can be selected then, and the model looks up in its mask which were: a
            # place past the count must name one of them.
            hidden_key = mask.logical_not().to(torch.uint8).argmax(-1, keepdim=True)
            indices = torch.where(indices < 0, hidden_key, indices).long()
        return Largest(values, indices)


_MINE = {Widened, Beyond, _Products, _Weighted, _Scores, BlockScores}
