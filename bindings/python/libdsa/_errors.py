"""Exceptions: one class a status, each also the Python exception that says the same."""

from __future__ import annotations

from . import _abi


class DsaError(Exception):
    """A call failed. `status` is the dsa_status, `text` names the field and the numbers."""

    status = _abi.ERROR_INTERNAL

    def __init__(self, text: str, status: int | None = None):
        if status is not None:
            self.status = status
        self.text = text
        super().__init__(text)

    def __reduce__(self):
        return type(self), (self.text, self.status)


class InvalidError(DsaError, ValueError):
    """A field is out of range, or two fields disagree."""
    status = _abi.ERROR_INVALID


class UnsupportedError(DsaError, NotImplementedError):
    """Valid, but no kernel does it on this device (yet)."""
    status = _abi.ERROR_UNSUPPORTED


class NoMemoryError(DsaError, MemoryError):
    """Host or device memory could not be had."""
    status = _abi.ERROR_NO_MEMORY


class WorkspaceError(DsaError, ValueError):
    """The given workspace is too small or not 256-byte aligned."""
    status = _abi.ERROR_WORKSPACE


class NoBackendError(DsaError, RuntimeError):
    """No CUDA module, driver or device; the text lists what was tried."""
    status = _abi.ERROR_NO_BACKEND


class CaptureError(DsaError, RuntimeError):
    """Not possible while the stream is being captured."""
    status = _abi.ERROR_CAPTURE


class DeviceError(DsaError, RuntimeError):
    """The device's runtime reported an error."""
    status = _abi.ERROR_DEVICE


class StructSizeError(DsaError, RuntimeError):
    """The library is older than this package and does not know a field that was set."""
    status = _abi.ERROR_STRUCT_SIZE


class InternalError(DsaError, RuntimeError):
    """A defect of the library."""
    status = _abi.ERROR_INTERNAL


OF_STATUS = {kind.status: kind for kind in (
    InvalidError, UnsupportedError, NoMemoryError, WorkspaceError, NoBackendError, CaptureError,
    DeviceError, StructSizeError, InternalError)}
