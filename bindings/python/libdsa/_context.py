"""Contexts, and what they know: kernels, threads, the machine."""

from __future__ import annotations

import ctypes
import json
import os
import threading
from typing import Any, Callable, Iterable, NamedTuple

from . import _abi, _parallel
from ._errors import InvalidError
from ._load import check, cuda_module, lib


class Handle:
    """A dsa_ctx. It is destroyed with the last reference: each call holds one, so a context can be
    closed while other threads are in it."""

    __slots__ = ("pointer", "callbacks", "_destroy")

    def __init__(self, pointer: int, callbacks: Any):
        self.pointer = pointer
        self.callbacks = callbacks
        self._destroy = lib.dsa_ctx_destroy

    def __del__(self):
        self._destroy(self.pointer)


class Kernel(NamedTuple):
    """A kernel of this build: operation and device are OP_... and DEVICE_...; `reason` says why it
    is not usable."""
    operation: int
    device: int
    usable: bool
    name: str
    family: str
    reason: str


class Context:
    """Threads, kernels and scratch memory: `with libdsa.Context(num_threads=4) as ctx: ...`.

    A context only saves work, it never changes results, and any number of threads may use one.
    Options as in dsa_ctx_options:

      device, device_id   0 or DEVICE_CPU: CPU only; DEVICE_CUDA: and a CUDA device
      device_optional     without a module, driver or device: a context for the CPU all the same
      num_threads         0: DSA_NUM_THREADS, OMP_NUM_THREADS, else one per physical core
      numa_node           0: the nearest; else node + 1
      cpu_mask            numbers of the CPUs that may be used; None: all of the caller's
      parallel_for        function(count, body) that calls body(i) for every i of range(count), on
                          any threads (list(pool.map(body, range(count))) does); or a
                          libdsa.ParallelFor made from a C function, called with parallel_user
      allocate, release   allocate(bytes, alignment) -> address or None; release(address, bytes)
      log                 function(level, text); level 0 error, 1 warning, 2 information, 3 detail
      module_path         libdsa-cuda.so or its folder; None: DSA_BACKEND_PATH, else that of the
                          package libdsa-cuda13, else beside libdsa.so
      pinned_bytes        most bytes of pinned memory of the hybrid routes; 0: 256 MiB
      tune_path           file of dsa_tune; None: DSA_TUNE_FILE, else in the user's cache folder
      hybrid_ready        make what the hybrid routes need now, not in the first such call
    """

    def __init__(self, *, device: int = 0, device_id: int = 0,
                 device_optional: bool = False, num_threads: int = 0, numa_node: int = 0,
                 cpu_mask: Iterable[int] | None = None,
                 parallel_for: Callable[[int, Callable[[int], None]], Any] | None = None,
                 parallel_user: int = 0,
                 allocate: Callable[[int, int], int | None] | None = None,
                 release: Callable[[int, int], None] | None = None,
                 log: Callable[[int, str], None] | None = None,
                 module_path: str | os.PathLike[str] | None = None, pinned_bytes: int = 0,
                 tune_path: str | os.PathLike[str] | None = None, hybrid_ready: bool = False):
        self._handle: Handle | None = None
        flags = (_abi.CTX_DEVICE_OPTIONAL if device_optional else 0) | \
            (_abi.CTX_HYBRID_READY if hybrid_ready else 0)
        options = _abi.CtxOptions(struct_size=ctypes.sizeof(_abi.CtxOptions), flags=flags,
                                  device=device, device_id=device_id, num_threads=num_threads,
                                  numa_node=numa_node, parallel_user=parallel_user,
                                  pinned_bytes=pinned_bytes)
        if tune_path is not None:
            options.tune_path = os.fsencode(tune_path)
        if cpu_mask is not None:
            mask = sum(1 << cpu for cpu in set(cpu_mask))
            words = max(1, (mask.bit_length() + 63) // 64)
            options.cpu_mask = (ctypes.c_uint64 * words)(
                *(mask >> 64 * word & 2**64 - 1 for word in range(words)))
            options.cpu_mask_words = words
        if parallel_for is not None:
            options.parallel_for = parallel_for if isinstance(parallel_for, _abi.ParallelFor) \
                else _parallel.parallel_for(parallel_for)
        if allocate is not None:
            options.allocate = _parallel.allocate(allocate)
        if release is not None:
            options.release = _parallel.release(release)
        if log is not None:
            options.log = _parallel.log(log)
        if module_path is None and device == _abi.DEVICE_CUDA:
            module_path = cuda_module()
        if module_path is not None:
            options.module_path = os.fsencode(module_path)
        pointer = ctypes.c_void_p()
        status = lib.dsa_ctx_create(ctypes.byref(options), ctypes.byref(pointer))
        # The options keep the callbacks' code alive.
        callbacks = options if parallel_for or allocate or release or log else None
        if status == _abi.OK:
            self._handle = Handle(pointer.value or 0, callbacks)
        raise_kept(callbacks)
        check(status)

    @property
    def handle(self) -> Handle:
        handle = self._handle
        if handle is None:
            raise InvalidError("the context is closed")
        return handle

    @property
    def closed(self) -> bool:
        return self._handle is None

    def close(self) -> None:
        """Ends the context once the calls that run on it have returned. Twice is allowed."""
        self._handle = None

    def __enter__(self) -> Context:
        self.handle
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def describe(self) -> dict[str, Any]:
        """What was found and chosen: build, ISA tiers and why, topology, threads, kernels."""
        handle, needed = self.handle, ctypes.c_uint64()
        check(lib.dsa_ctx_describe(handle.pointer, None, 0, ctypes.byref(needed)))
        text = ctypes.create_string_buffer(needed.value)
        check(lib.dsa_ctx_describe(handle.pointer, text, len(text), None))
        return json.loads(text.value)

    def kernels(self) -> list[Kernel]:
        """The kernels of this build, in order of preference within an operation."""
        handle = self.handle
        found: list[Kernel] = []
        info = _abi.KernelInfo(struct_size=ctypes.sizeof(_abi.KernelInfo))
        while lib.dsa_kernel_get(handle.pointer, len(found), ctypes.byref(info)) == _abi.OK:
            found.append(Kernel(info.operation, info.device, bool(info.usable), info.name.decode(),
                                info.family.decode(), info.reason.decode()))
        return found


def raise_kept(callbacks: Any) -> None:
    """Raises what a Python callback raised during the call that has just returned."""
    if callbacks is not None:
        error = _parallel.take_error()
        if error is not None:
            raise error


_defaults: dict[int | None, Context] = {}
_default_lock = threading.Lock()


def default_context(device_id: int | None = None) -> Context:
    """The context of calls that name none: for the CPU, or for a CUDA device. Made at the first such
    call, never closed by the package. Closed by the caller, the next call makes a new one."""
    context = _defaults.get(device_id)
    if context is None or context._handle is None:
        with _default_lock:
            context = _defaults.get(device_id)
            if context is None or context._handle is None:
                context = _defaults[device_id] = Context() if device_id is None else Context(
                    device=_abi.DEVICE_CUDA, device_id=device_id)
    return context


def describe() -> dict[str, Any]:
    """`Context.describe` of the default context."""
    return default_context().describe()


def kernels() -> list[Kernel]:
    """`Context.kernels` of the default context."""
    return default_context().kernels()
