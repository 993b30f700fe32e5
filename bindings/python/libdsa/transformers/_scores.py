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
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

import libdsa
import libdsa.torch as ops

from ._masks import rows_of

_MATMUL = (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__)
_RELU = (F.relu, torch.relu)
_WATCHED = {torch.Tensor.float, *_MATMUL, *_RELU}


class ScoreMode(TorchFunctionMode):
    """While it is on, products of queries [B, S, H, D] and keys [B, 1, D, T] are `_Products`."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func not in _WATCHED and _MINE.isdisjoint(types):
            return func(*args, **kwargs)
        if func is torch.Tensor.float and args[0].dtype in (torch.bfloat16, torch.float16):
            return _Widened(args[0])
        if func in _MATMUL and len(args) == 2:
            left, right = (_narrow(a) for a in args)
            if isinstance(right, _Products):
                return right.weigh(_wide(left))
            if _are_queries_and_keys(left, right):
                return _Products(left, right[:, 0].transpose(-1, -2))
        if func in _RELU and isinstance(args[0], _Products):
            return args[0].relu()
        args = [_wide(a) for a in args]
        if any(isinstance(a, _Deferred) for a in args):
            raise _unknown(getattr(func, "__name__", func))
        return func(*args, **kwargs)


def _unknown(step: Any) -> Exception:
    return NotImplementedError(
        f"libdsa.transformers: the model's indexer does '{step}' with its scores, which this "
        "version does not know; use disable(model)")


def _are_queries_and_keys(left: Any, right: Any) -> bool:
    return (isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor) and
            left.ndim == 4 and right.ndim == 4 and right.shape[1] == 1 and
            left.shape[0] == right.shape[0] and left.shape[-1] == right.shape[-2])


class _Deferred:
    """What PyTorch's functions take in a tensor's place."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        raise _unknown(getattr(func, "__name__", func))

    def __getattr__(self, name):
        raise _unknown(name)

    def _refuse(self, *_arguments):
        raise _unknown("arithmetic")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __pow__ = __neg__ = __matmul__ = __rmatmul__ = _refuse
    __getitem__ = _refuse


class _Widened:
    """`narrow.float()` that has not happened: queries and keys go to libdsa as they lie."""

    def __init__(self, narrow: torch.Tensor):
        self.narrow = narrow

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return func(*(_wide(a) for a in args), **(kwargs or {}))

    def transpose(self, *axes: int) -> _Widened:
        return _Widened(self.narrow.transpose(*axes))

    def unsqueeze(self, axis: int) -> _Widened:
        return _Widened(self.narrow.unsqueeze(axis))

    def __mul__(self, other):
        return _wide(self) * other

    __rmul__ = __mul__

    def __getattr__(self, name):
        return getattr(_wide(self), name)


def _narrow(value: Any) -> Any:
    return value.narrow if isinstance(value, _Widened) else value


def _wide(value: Any) -> Any:
    return value.narrow.to(torch.float32) if isinstance(value, _Widened) else value


class _Products(_Deferred):
    """scale * q [B, S, H, D] . keys [B, T, D], or relu of it."""

    def __init__(self, q: torch.Tensor, keys: torch.Tensor, scale: float = 1.0,
                 positive: bool = False):
        self.q = q
        self.keys = keys
        self.scale = scale
        self.positive = positive

    def __mul__(self, factor):
        if not isinstance(factor, (int, float)) or not factor > 0 or math.isinf(factor):
            raise _unknown(f"* {factor}")  # only a positive factor passes through a ReLU
        return _Products(self.q, self.keys, self.scale * factor, self.positive)

    __rmul__ = __mul__

    def relu(self) -> _Products:
        return _Products(self.q, self.keys, self.scale, True)

    def weigh(self, weights: torch.Tensor) -> _Scores:
        """weights [B, S, 1, H] -> scores [B, S, 1, T]"""
        if weights.ndim != 4 or weights.shape[-2] != 1 or weights.shape[-1] != self.q.shape[-2]:
            raise _unknown("matmul")
        weights = weights.squeeze(-2)
        if self.scale != 1.0:
            weights = weights * self.scale
        return _Scores(self, weights, flat=False)


class _Largest(NamedTuple):
    values: torch.Tensor
    indices: torch.Tensor


class _Scores(_Deferred):
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

    def squeeze(self, axis: int) -> _Scores:
        if self.flat or axis not in (-2, 2):
            raise _unknown("squeeze")
        return _Scores(self.products, self.weights, True)

    def masked_fill(self, hidden: torch.Tensor, fill: float) -> _Scores:
        if not self.flat or self.mask is not None or fill > torch.finfo(torch.float32).min:
            raise _unknown(f"masked_fill({fill})")
        return _Scores(self.products, self.weights, True, ~hidden, fill)

    def __add__(self, mask: torch.Tensor) -> _Scores:
        if not self.flat or self.mask is not None:
            raise _unknown("+")
        return _Scores(self.products, self.weights, True, mask)

    def topk(self, k: int, dim: int = -1) -> _Largest:
        if not self.flat or dim not in (-1, 2):
            raise _unknown("topk")
        q, keys = self.products.q, self.products.keys
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
        return _Largest(values, indices)


_MINE = {_Widened, _Products, _Scores}
