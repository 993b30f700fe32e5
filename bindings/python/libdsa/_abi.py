"""dsa.h for ctypes: structures and function signatures."""

from ctypes import (CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_double, c_float, c_int32,
                    c_int64, c_uint32, c_uint64, c_void_p)

from ._constants import *  # noqa: F403


class Tensor(Structure):
    _fields_ = [("data", c_void_p), ("shape", c_int64 * 5), ("stride", c_int64 * 5),
                ("ndim", c_int32), ("dtype", c_int32), ("device", c_int32),
                ("device_id", c_int32), ("reserved", c_uint64 * 3)]


ParallelBody = CFUNCTYPE(None, c_void_p, c_int64)
# The body is taken as an address: the callback makes one ParallelBody of it, not one per index.
ParallelFor = CFUNCTYPE(None, c_void_p, c_int64, c_void_p, c_void_p)
Allocate = CFUNCTYPE(c_void_p, c_void_p, c_uint64, c_uint64)
Release = CFUNCTYPE(None, c_void_p, c_void_p, c_uint64)
Log = CFUNCTYPE(None, c_void_p, c_int32, c_char_p)


class CtxOptions(Structure):
    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32), ("device", c_int32),
                ("device_id", c_int32), ("num_threads", c_int32), ("numa_node", c_int32),
                ("cpu_mask", POINTER(c_uint64)), ("cpu_mask_words", c_uint64),
                ("parallel_for", ParallelFor), ("parallel_user", c_void_p),
                ("allocate", Allocate), ("release", Release), ("allocator_user", c_void_p),
                ("log", Log), ("log_user", c_void_p), ("module_path", c_char_p),
                ("pinned_bytes", c_uint64), ("tune_path", c_char_p)]


class Exec(Structure):
    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32), ("stream", c_void_p),
                ("workspace", c_void_p), ("workspace_size", c_uint64), ("plan", c_void_p),
                ("parallel_user", c_void_p)]


TuneProgress = CFUNCTYPE(None, c_void_p, c_double, c_char_p)


class TuneOptions(Structure):
    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32), ("path", c_char_p),
                ("progress", TuneProgress), ("progress_user", c_void_p)]


class KernelInfo(Structure):
    _fields_ = [("struct_size", c_uint32), ("operation", c_int32), ("device", c_int32),
                ("usable", c_int32), ("name", c_char * 64), ("family", c_char * 16),
                ("reason", c_char * 160)]


def _fields(scalars, tensors=""):
    """A descriptor's fields: scalars as (type, names) in order, then tensors by name."""
    fields = [("struct_size", c_uint32), ("kind", c_uint32), ("flags", c_uint64)]
    for kind, names in scalars:
        fields += [(name, kind) for name in names.split()]
    return fields + [(name, Tensor) for name in tensors.split()]


_VISIBILITY = "row_request row_begin row_end seq_lens mask"
_SELECTED = "indices slots values counts cut_score cut_index"
_SHARD = " shard_rank shard_ranks shard_interleave"


class IndexerDesc(Structure):
    _fields_ = _fields(
        [(c_int64, "batch offset max_keys"),
         (c_int32, "next_n ratio key_layout key_format page_size" + _SHARD)],
        f"q keys w q_scale k_scale block_table {_VISIBILITY} scores")


class TopkDesc(Structure):
    _fields_ = _fields(
        [(c_int64, "batch offset max_keys"),
         (c_int32, "next_n ratio page_size k order ties slot_page_size slot_page_stride "
                   "force_first force_last select_block" + _SHARD)],
        f"scores block_table {_VISIBILITY} index_base slot_table hint_indices hint_bound "
        f"candidates candidate_blocks {_SELECTED}")


class IndexerTopkDesc(Structure):
    _fields_ = _fields(
        [(c_int64, "batch offset max_keys"),
         (c_int32, "next_n ratio key_layout key_format page_size k order ties slot_page_size "
                   "slot_page_stride force_first force_last select_block" + _SHARD)],
        f"q keys w q_scale k_scale block_table {_VISIBILITY} index_base slot_table hint_indices "
        f"hint_bound candidates candidate_blocks {_SELECTED}")


class SparseAttnDesc(Structure):
    _fields_ = _fields(
        [(c_int64, "batch offset max_keys"),
         (c_int32, "next_n ratio key_layout key_format page_size selection k index_block "
                   "slot_page_size slot_page_stride"),
         (c_float, "scale"),
         (c_int32, "k_b key_layout_b key_format_b page_size_b selection_b slot_page_size_b "
                   "slot_page_stride_b")],
        f"q q2 kv kv2 v kv_scale v_scale q_scale block_table {_VISIBILITY} index_base indices "
        "counts scores cut_score cut_index sink kv_b kv2_b v_b kv_scale_b v_scale_b "
        "block_table_b row_begin_b row_end_b indices_b counts_b out lse max")


class MergeLseDesc(Structure):
    _fields_ = _fields([], "partial_out partial_lse partial_max sink out lse max")


class ForwardDesc(Structure):
    _fields_ = _fields([(c_int32, "route"), (c_float, "gpu_busy"), (c_uint64, "memory_limit"),
                        (POINTER(IndexerTopkDesc), "select"), (POINTER(SparseAttnDesc), "attend")])


# C name of each structure.
STRUCTURES = {
    "dsa_tensor": Tensor, "dsa_ctx_options": CtxOptions, "dsa_exec": Exec,
    "dsa_indexer_desc": IndexerDesc, "dsa_topk_desc": TopkDesc,
    "dsa_indexer_topk_desc": IndexerTopkDesc, "dsa_sparse_attn_desc": SparseAttnDesc,
    "dsa_merge_lse_desc": MergeLseDesc, "dsa_forward_desc": ForwardDesc,
    "dsa_tune_options": TuneOptions, "dsa_kernel_info": KernelInfo,
}

# Contexts, plans, descriptors and execs go as addresses or ctypes instances: both are c_void_p.
_OPERATION = (c_int32, [c_void_p, c_void_p, c_void_p])
FUNCTIONS = {
    "dsa_status_name": (c_char_p, [c_int32]),
    "dsa_last_error": (c_char_p, []),
    "dsa_version": (c_uint32, []),
    "dsa_abi_version": (c_uint32, []),
    "dsa_ctx_create": (c_int32, [POINTER(CtxOptions), POINTER(c_void_p)]),
    "dsa_ctx_destroy": (None, [c_void_p]),
    "dsa_ctx_describe": (c_int32, [c_void_p, c_char_p, c_uint64, POINTER(c_uint64)]),
    "dsa_indexer": _OPERATION,
    "dsa_topk": _OPERATION,
    "dsa_indexer_topk": _OPERATION,
    "dsa_sparse_attn": _OPERATION,
    "dsa_merge_lse": _OPERATION,
    "dsa_forward": _OPERATION,
    "dsa_tune": (c_int32, [c_void_p, POINTER(TuneOptions)]),
    "dsa_supports": (c_int32, [c_void_p, c_void_p]),
    "dsa_workspace_size": (c_int32, [c_void_p, c_void_p, POINTER(c_uint64)]),
    "dsa_plan_create": (c_int32, [c_void_p, c_void_p, POINTER(c_void_p)]),
    "dsa_plan_destroy": (None, [c_void_p]),
    "dsa_plan_kernel": (c_char_p, [c_void_p]),
    "dsa_plan_refused": (c_char_p, [c_void_p, c_int32]),
    "dsa_kernel_get": (c_int32, [c_void_p, c_int32, POINTER(KernelInfo)]),
}
