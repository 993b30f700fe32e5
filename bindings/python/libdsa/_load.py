"""Finds libdsa.so and loads it."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import pathlib

from . import _abi, _errors

SONAME = f"libdsa.so.{_abi.ABI_VERSION}"
_BUNDLED = pathlib.Path(__file__).with_name(SONAME)


def _candidates():
    """LIBDSA_PATH alone where it is set (a file or its folder); else the library in this package,
    else the loader's."""
    chosen = os.environ.get("LIBDSA_PATH")
    if chosen:
        if not os.path.isdir(chosen):
            return [chosen]
        return [os.path.join(chosen, name) for name in (SONAME, "libdsa.so")
                if os.path.exists(os.path.join(chosen, name))] or [os.path.join(chosen, SONAME)]
    return ([str(_BUNDLED)] if _BUNDLED.exists() else []) + [SONAME]


def _load():
    tried = []
    for path in _candidates():
        try:
            found = ctypes.CDLL(path)
        except OSError as error:
            tried.append(f"{path}: {error}")
            continue
        try:
            for name, (result, arguments) in _abi.FUNCTIONS.items():
                function = getattr(found, name)
                function.restype = result
                function.argtypes = arguments
        except AttributeError as error:
            raise ImportError(f"{path} is not this libdsa: {error}") from None
        abi = found.dsa_abi_version()
        if abi != _abi.ABI_VERSION:
            raise ImportError(f"{path} has binary interface {abi}, this package needs "
                              f"{_abi.ABI_VERSION}")
        return found, path
    raise ImportError("libdsa.so was not found; set LIBDSA_PATH to it. Tried:\n  " +
                      "\n  ".join(tried))


lib, library_path = _load()


def cuda_module() -> str | None:
    """libdsa-cuda.so of the package libdsa-cuda13, which goes with the library in this package alone
    and stands behind DSA_BACKEND_PATH. None: the library searches by itself."""
    if library_path != str(_BUNDLED) or os.environ.get("DSA_BACKEND_PATH"):
        return None
    try:
        import libdsa_cuda13
    except ImportError:
        return None
    return libdsa_cuda13.path


def last_error() -> str:
    return lib.dsa_last_error().decode(errors="replace")


def check(status: int) -> None:
    """Raises the exception of a status that is not DSA_OK, with this thread's text."""
    if status:
        kind = _errors.OF_STATUS.get(status, _errors.DsaError)
        name = lib.dsa_status_name(status).decode()
        raise kind(last_error() or name, status)
