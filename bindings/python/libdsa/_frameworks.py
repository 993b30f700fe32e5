"""GPU arrays of PyTorch and CuPy: their current stream, and arrays of theirs for outputs.

Neither package is imported before one of its arrays is here.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, NamedTuple

from . import _abi, _tensor


class Framework(NamedTuple):
    stream: Callable[[int], int]  # device id -> cudaStream_t of the calling thread
    empty: Callable[[tuple[int, ...], int, int], Any]  # shape, libdsa's dtype, device id


def _torch_stream(device_id: int) -> int:
    import torch
    return torch.cuda.current_stream(device_id).cuda_stream


def _torch_empty(shape: tuple[int, ...], code: int, device_id: int) -> Any:
    import torch
    return torch.empty(shape, dtype=getattr(torch, _tensor.dtype_name(code)),
                       device=torch.device("cuda", device_id))


def _cupy_stream(device_id: int) -> int:
    import cupy
    with cupy.cuda.Device(device_id):
        return cupy.cuda.get_current_stream().ptr


def _cupy_empty(shape: tuple[int, ...], code: int, device_id: int) -> Any:
    import cupy
    with cupy.cuda.Device(device_id):
        return cupy.empty(shape, _tensor.numpy_dtype(code))


_KNOWN = {"torch": Framework(_torch_stream, _torch_empty),
          "cupy": Framework(_cupy_stream, _cupy_empty)}


@functools.lru_cache(maxsize=None)
def _of_type(kind: type) -> Framework | None:
    for base in kind.__mro__:
        known = _KNOWN.get(base.__module__.partition(".")[0])
        if known is not None:
            return known
    return None


def of_gpu_array(value: Any) -> tuple[Framework, int] | None:
    """The framework of an array on a CUDA device, and the device's number."""
    known = _of_type(type(value))
    if known is None:
        return None
    device, number = value.__dlpack_device__()
    return (known, number) if device == _abi.DEVICE_CUDA else None
