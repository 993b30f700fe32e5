"""The packages libdsa and libdsa-cuda13 installed together: the first finds the module of the second,
whatever the machine has.

    cuda_module.py
"""

import ctypes
import importlib.metadata
import os
import subprocess
import sys

import libdsa
import libdsa_cuda13
import numpy as np

module = libdsa_cuda13.path
assert os.path.isfile(module), module
assert importlib.metadata.requires("libdsa-cuda13") == [f"libdsa=={libdsa.__version__}"]


def has_driver():
    try:
        return bool(ctypes.CDLL("libcuda.so.1"))
    except OSError:
        return False


def error(**options):
    """The text of the error that a context with a CUDA device gives; "" when there is none."""
    try:
        libdsa.Context(device=libdsa.DEVICE_CUDA, **options).close()
    except libdsa.NoBackendError as caught:
        return caught.text
    return ""


def error_elsewhere(**environment):
    """The same in a process with these environment variables."""
    code = ("import libdsa\n"
            "try: libdsa.Context(device=libdsa.DEVICE_CUDA)\n"
            "except libdsa.NoBackendError as caught: print(caught.text)")
    return subprocess.run([sys.executable, "-c", code], text=True, check=True, stdout=subprocess.PIPE,
                          env={**os.environ, **environment}).stdout


os.environ.pop("DSA_BACKEND_PATH", None)
text = error()
if not has_driver():
    assert text.startswith("ctx_create: there is no CUDA driver (libcuda.so.1); "), text
    assert "for CUDA 13." in text, f"{text}: this package is for modules of CUDA 13"
assert not text or text.endswith(f"(module {module})"), text

# What the caller or the environment names goes first, and is the only place then.
wanted = "ctx_create: no CUDA module: /nowhere/libdsa-cuda.so: no such file"
assert error(module_path="/nowhere/libdsa-cuda.so") == wanted
assert error_elsewhere(DSA_BACKEND_PATH="/nowhere/libdsa-cuda.so").strip() == wanted
# Another libdsa.so has a module of its own.
assert module not in error_elsewhere(LIBDSA_PATH=os.path.relpath(libdsa.library_path))

# Without a GPU the context is there for the CPU, and its CUDA kernels say why they are not usable.
with libdsa.Context(device=libdsa.DEVICE_CUDA, device_optional=True) as ctx:
    kernels = [kernel for kernel in ctx.kernels() if kernel.device == libdsa.DEVICE_CUDA]
    assert kernels
    for kernel in kernels:
        assert not text or (not kernel.usable and kernel.reason), kernel
        assert has_driver() or "there is no CUDA driver" in kernel.reason, kernel
    best = libdsa.topk(np.array([[1, 9, 3, 9]], np.float32), 2, ctx=ctx)
    assert best.indices.tolist() == [[1, 3]]

print(f"  {len(kernels)} CUDA kernels; {text or 'a device is there'}")
