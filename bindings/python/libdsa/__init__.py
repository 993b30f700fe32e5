"""libdsa: DeepSeek Sparse Attention on numpy arrays, PyTorch tensors and raw pointers.

    scores = libdsa.indexer(q, keys, w)                      # [T, S]
    selected = libdsa.topk(scores, 2048)                     # indices [T, k], exact
    selected = libdsa.indexer_topk(q, keys, w, 2048)         # the two in one
    out, lse, _ = libdsa.sparse_attn(q, kv, selected.indices, scale=192**-0.5, value_dim=512)

The operations' docstrings give their shapes; `help(libdsa._ops)` what they share; include/dsa.h
is the manual. Constants are those of dsa.h without the prefix: libdsa.CAUSAL, libdsa.LAYOUT_PAGES.
"""

from . import _abi
from ._call import Call, Plan, Support, prepare, supports, workspace, workspace_size
from ._constants import *  # noqa: F403
from ._context import Context, Kernel, default_context, describe, kernels
from ._errors import (CaptureError, DeviceError, DsaError, InternalError, InvalidError,
                      NoBackendError, NoMemoryError, StructSizeError, UnsupportedError,
                      WorkspaceError)
from ._load import lib as _lib, library_path
from ._ops import (AttnResult, TopkResult, forward, indexer, indexer_topk, merge_lse, sparse_attn,
                   topk)
from ._tensor import Tensor

ParallelFor = _abi.ParallelFor
_number = _lib.dsa_version()
__version__ = f"{_number // 10000}.{_number // 100 % 100}.{_number % 100}"

__all__ = [
    "AttnResult", "Call", "CaptureError", "Context", "DeviceError", "DsaError", "InternalError",
    "InvalidError", "Kernel", "NoBackendError", "NoMemoryError", "ParallelFor", "Plan",
    "StructSizeError", "Support", "Tensor", "TopkResult", "UnsupportedError", "WorkspaceError",
    "__version__", "default_context", "describe", "forward", "indexer", "indexer_topk", "kernels",
    "library_path", "merge_lse", "prepare", "sparse_attn", "supports", "topk", "workspace",
    "workspace_size",
]
