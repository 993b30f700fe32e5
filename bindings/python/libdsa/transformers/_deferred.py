"""Objects that stand in for tensors in a model's own code."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import torch


def unknown(step: Any, of: str = "scores") -> Exception:
    return NotImplementedError(
        f"libdsa.transformers: the model's indexer does '{step}' with its {of}, which this "
        "version does not know; use disable(model)")


class Deferred:
    """What PyTorch's functions take in a tensor's place."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        raise unknown(getattr(func, "__name__", func))

    def __getattr__(self, name):
        raise unknown(name)

    def _refuse(self, *_arguments):
        raise unknown("arithmetic")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __pow__ = __neg__ = __matmul__ = __rmatmul__ = _refuse
    __getitem__ = _refuse


class Postponed:
    """A tensor that is made when something is done to it that is not foreseen."""

    def whole(self) -> torch.Tensor:
        raise NotImplementedError

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return func(*(whole(a) for a in args), **(kwargs or {}))

    def __getattr__(self, name):
        return getattr(self.whole(), name)


def _operator(name: str) -> Callable:
    def operator(self, *others):
        return getattr(self.whole(), name)(*(whole(other) for other in others))
    return operator


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "neg",
              "matmul", "and", "rand", "or", "ror", "invert", "ge", "gt", "le", "lt", "getitem"):
    setattr(Postponed, f"__{_name}__", _operator(f"__{_name}__"))


class Widened(Postponed):
    """`narrow.float()`: queries and keys go to libdsa as they lie."""

    def __init__(self, narrow: torch.Tensor):
        self.narrow = narrow

    def whole(self) -> torch.Tensor:
        return self.narrow.to(torch.float32)

    def transpose(self, *axes: int) -> Widened:
        return Widened(self.narrow.transpose(*axes))

    def unsqueeze(self, axis: int) -> Widened:
        return Widened(self.narrow.unsqueeze(axis))


class Beyond(Postponed):
    """Key numbers [1, 1, T] > last keys [B, S, 1], or >= ends: a mask [B, S, T] that says no more
    than a range a row. Or with a 1 for heads, [B, 1, S, T]."""

    def __init__(self, keys: torch.Tensor, bound: torch.Tensor, strict: bool):
        self.keys = keys
        self.bound = bound
        self.strict = strict

    def whole(self) -> torch.Tensor:
        return (torch.gt if self.strict else torch.ge)(self.keys, self.bound)

    def ranges(self) -> torch.Tensor:
        """The other keys: [B, S, 2] i32"""
        ends = self.bound if self.bound.ndim == 3 else self.bound[:, 0]
        ends = (ends + self.strict).clamp(0, self.keys.numel())
        return torch.cat((torch.zeros_like(ends), ends), -1).to(torch.int32)


def narrow_of(value: Any) -> Any:
    return value.narrow if isinstance(value, Widened) else value


def whole(value: Any) -> Any:
    return value.whole() if isinstance(value, Postponed) else value


class Largest(NamedTuple):
    values: torch.Tensor
    indices: torch.Tensor
