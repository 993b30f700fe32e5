"""Everything that can be a tensor, and how it gets into a dsa_tensor."""

from __future__ import annotations

import ctypes
import functools
import struct
from typing import Any, Callable, Sequence

import numpy as np

from . import _abi
from ._errors import InvalidError

_CODES = {np.dtype(kind): code for kind, code in (
    (np.float32, _abi.F32), (np.float16, _abi.F16), (np.uint8, _abi.U8), (np.bool_, _abi.U8),
    (np.int32, _abi.I32), (np.int64, _abi.I64))}
# ml_dtypes' types are known by name, so that the module is imported only to allocate them.
_NAMES = {"float32": _abi.F32, "float16": _abi.F16, "bfloat16": _abi.BF16,
          "float8_e4m3fn": _abi.F8_E4M3FN, "uint8": _abi.U8, "bool": _abi.U8,
          "int32": _abi.I32, "int64": _abi.I64}
_NAME_OF = {_abi.F32: "float32", _abi.F16: "float16", _abi.BF16: "bfloat16",
            _abi.F8_E4M3FN: "float8_e4m3fn", _abi.U8: "uint8", _abi.I32: "int32",
            _abi.I64: "int64"}
# (DLPack type code, bits) -> dtype
_DLPACK = {(2, 32): _abi.F32, (2, 16): _abi.F16, (4, 16): _abi.BF16, (10, 8): _abi.F8_E4M3FN,
           (1, 8): _abi.U8, (6, 8): _abi.U8, (0, 32): _abi.I32, (0, 64): _abi.I64}

# dsa_tensor by number of axes: data, shape, stride, then ndim, dtype, device, device_id.
_PACK = [struct.Struct(f"=Q{n}q{8 * (5 - n)}x{n}q{8 * (5 - n)}x4i24x").pack_into
         for n in range(6)]


def _dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


class Tensor:
    """A borrowed view by address: what a raw pointer, or a shape alone, is given as.

    `data` is an address (0: no memory, as `supports` allows), `strides` are in elements (None:
    dense), `dtype` a name ("bfloat16"), a numpy dtype or a number (libdsa.BF16). The caller keeps
    the memory alive; `owner` is any object to keep with the view.
    """

    __slots__ = ("data", "shape", "strides", "dtype", "device", "device_id", "readonly", "owner")

    def __init__(self, data: int, shape: Sequence[int], dtype: Any,
                 strides: Sequence[int] | None = None, device: int = _abi.DEVICE_CPU,
                 device_id: int = 0, readonly: bool = False, owner: Any = None):
        self.data = data
        self.shape = tuple(shape)
        self.strides = _dense(self.shape) if strides is None else tuple(strides)
        if len(self.strides) != len(self.shape):
            raise InvalidError(f"{len(self.shape)} extents, {len(self.strides)} strides")
        self.dtype = dtype if isinstance(dtype, int) else dtype_code(dtype)
        self.device = device
        self.device_id = device_id
        self.readonly = readonly
        self.owner = owner

    def __repr__(self):
        name = _NAME_OF.get(self.dtype, self.dtype)
        return f"Tensor({self.data:#x}, {self.shape}, {name}, strides={self.strides})"


def dtype_code(dtype: Any) -> int:
    """libdsa's number of a dtype: a name, a numpy dtype or scalar type, or the number itself."""
    if isinstance(dtype, int):
        return dtype
    code = _NAMES.get(dtype) if isinstance(dtype, str) else None
    if code is None:
        dtype = np.dtype(dtype)
        code = _CODES.get(dtype)
        if code is None and dtype.isnative:
            code = _NAMES.get(dtype.name)
            if code is not None:
                _CODES[dtype] = code
        if code is None:
            raise TypeError(f"libdsa has no dtype {dtype!r} (it has {', '.join(_NAMES)})")
    return code


def dtype_name(code: int) -> str:
    return _NAME_OF[code]


@functools.lru_cache(maxsize=None)
def numpy_dtype(code: int) -> np.dtype:
    name = _NAME_OF.get(code)
    if name is None:
        raise TypeError(f"numpy has no dtype for number {code} of libdsa")
    if code in (_abi.BF16, _abi.F8_E4M3FN):
        try:
            import ml_dtypes
        except ImportError:
            raise TypeError(f"numpy has no {name} without the package ml_dtypes: install it, give "
                            "the output, or ask for another dtype") from None
        return np.dtype(getattr(ml_dtypes, name))
    return np.dtype(name)


def empty(shape: tuple[int, ...], code: int) -> np.ndarray:
    return np.empty(shape, numpy_dtype(code))


class _DLTensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32),
                ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8),
                ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
                ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64)]


class _DLManagedTensorVersioned(ctypes.Structure):
    _fields_ = [("major", ctypes.c_uint32), ("minor", ctypes.c_uint32),
                ("manager_ctx", ctypes.c_void_p), ("deleter", ctypes.c_void_p),
                ("flags", ctypes.c_uint64), ("dl_tensor", _DLTensor)]


_READ_ONLY, _IS_COPIED = 1, 2

_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = ctypes.c_void_p
_capsule_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_capsule_is = ctypes.pythonapi.PyCapsule_IsValid
_capsule_is.restype = ctypes.c_int
_capsule_is.argtypes = [ctypes.py_object, ctypes.c_char_p]


def _from_dlpack(value: Any, where: str, stream: int | None) -> Tensor:
    # The capsule keeps its name, so the producer's own destructor ends the view with it.
    options = {}
    if value.__dlpack_device__()[0] == _abi.DEVICE_CUDA:
        options["stream"] = stream or 1  # 1: the legacy default stream, as NULL in dsa_exec
    try:
        capsule = value.__dlpack__(max_version=(1, 0), **options)
    except TypeError:  # a producer from before DLPack 1.0
        capsule = value.__dlpack__(**options)
    flags = 0
    if _capsule_is(capsule, b"dltensor_versioned"):
        pointer = _capsule_pointer(capsule, b"dltensor_versioned")
        managed = _DLManagedTensorVersioned.from_address(pointer)
        if managed.major != 1:
            raise TypeError(f"{where}: DLPack {managed.major}.{managed.minor} is not understood")
        tensor, flags = managed.dl_tensor, managed.flags
    else:
        tensor = _DLTensor.from_address(_capsule_pointer(capsule, b"dltensor"))
    dtype = _DLPACK.get((tensor.code, tensor.bits)) if tensor.lanes == 1 else None
    if dtype is None:
        raise TypeError(f"{where}: DLPack type {tensor.code} of {tensor.bits} bits, "
                        f"{tensor.lanes} lanes is no dtype of libdsa")
    axes = range(tensor.ndim)
    return Tensor((tensor.data or 0) + tensor.byte_offset, [tensor.shape[i] for i in axes], dtype,
                  [tensor.strides[i] for i in axes] if tensor.strides else None,
                  tensor.device_type, tensor.device_id, bool(flags & (_READ_ONLY | _IS_COPIED)),
                  capsule)


def as_tensor(value: Any, where: str, stream: int | None = None) -> np.ndarray | Tensor:
    """A numpy array or a Tensor on the same memory; never a copy."""
    if isinstance(value, (np.ndarray, Tensor)):
        return value
    if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
        return _from_dlpack(value, where, stream)
    try:
        return np.asarray(memoryview(value))
    except TypeError:
        raise TypeError(f"{where}: {type(value).__name__} is no array, DLPack object, buffer or "
                        "libdsa.Tensor") from None


def dtype_of(tensor: np.ndarray | Tensor, where: str) -> int:
    if isinstance(tensor, Tensor):
        return tensor.dtype
    code = _CODES.get(tensor.dtype)
    if code is None:
        try:
            code = dtype_code(tensor.dtype)
        except TypeError as error:
            raise TypeError(f"{where}: {error}") from None
    return code


_addressof = ctypes.addressof
_first_byte: Callable[[Any], ctypes.c_char] = ctypes.c_char.from_buffer


@functools.lru_cache(maxsize=4096)
def _in_elements(strides: tuple[int, ...], itemsize: int) -> tuple[int, ...] | None:
    if any(step % itemsize for step in strides):
        return None
    return tuple(step // itemsize for step in strides)


def pack(desc: ctypes.Structure, at: int, tensor: np.ndarray | Tensor, where: str) -> None:
    """Writes the dsa_tensor at byte `at` of a descriptor."""
    shape = tensor.shape
    axes = len(shape)
    if not 1 <= axes <= 5:
        raise InvalidError(f"{where}.ndim is {axes}, must be 1 to 5")
    if isinstance(tensor, Tensor):
        try:
            _PACK[axes](desc, at, tensor.data, *shape, *tensor.strides, axes, tensor.dtype,
                        tensor.device, tensor.device_id)
        except struct.error as error:
            raise InvalidError(f"{where} is {tensor!r}: {error}") from None
        return
    try:  # several times faster than tensor.ctypes, for arrays that are contiguous and writable
        data = _addressof(_first_byte(tensor))
    except (TypeError, ValueError, BufferError):
        data = tensor.ctypes.data
    strides = _in_elements(tensor.strides, tensor.itemsize)
    if strides is None:
        raise InvalidError(f"{where}: strides of {tensor.strides} bytes are no multiple of the "
                           f"{tensor.itemsize}-byte elements")
    _PACK[axes](desc, at, data, *shape, *strides, axes,
                _CODES.get(tensor.dtype) or dtype_of(tensor, where), _abi.DEVICE_CPU, 0)


def check_writable(tensor: np.ndarray | Tensor, where: str) -> None:
    if isinstance(tensor, Tensor):
        readonly = tensor.readonly
    else:
        readonly = not tensor.flags.writeable
    if readonly:
        raise InvalidError(f"{where} is an output, but read-only")
