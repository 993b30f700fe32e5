pub const DSA_VERSION_MAJOR: u32 = 0;
pub const DSA_VERSION_MINOR: u32 = 1;
pub const DSA_VERSION_PATCH: u32 = 0;
pub const DSA_VERSION: u32 = 100;
pub const DSA_ABI_VERSION: u32 = 1;
pub type dsa_status = i32;
pub const DSA_OK: i32 = 0;
pub const DSA_ERROR_INVALID: i32 = -1;
pub const DSA_ERROR_UNSUPPORTED: i32 = -2;
pub const DSA_ERROR_NO_MEMORY: i32 = -3;
pub const DSA_ERROR_WORKSPACE: i32 = -4;
pub const DSA_ERROR_NO_BACKEND: i32 = -5;
pub const DSA_ERROR_CAPTURE: i32 = -6;
pub const DSA_ERROR_DEVICE: i32 = -7;
pub const DSA_ERROR_STRUCT_SIZE: i32 = -8;
pub const DSA_ERROR_INTERNAL: i32 = -9;
pub const DSA_F32: i32 = 1;
pub const DSA_F16: i32 = 2;
pub const DSA_BF16: i32 = 3;
pub const DSA_F8_E4M3FN: i32 = 4;
pub const DSA_U8: i32 = 5;
pub const DSA_I32: i32 = 6;
pub const DSA_I64: i32 = 7;
pub const DSA_GGML_Q8_0: i32 = 8;
pub const DSA_MXFP4: i32 = 9;
pub const DSA_NVFP4: i32 = 10;
pub const DSA_DEVICE_CPU: i32 = 1;
pub const DSA_DEVICE_CUDA: i32 = 2;
pub const DSA_DEVICE_CUDA_HOST: i32 = 3;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct dsa_tensor {
    pub data: *mut ::core::ffi::c_void,
    pub shape: [i64; 5usize],
    pub stride: [i64; 5usize],
    pub ndim: i32,
    pub dtype: i32,
    pub device: i32,
    pub device_id: i32,
    pub reserved: [u64; 3usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of dsa_tensor"][::core::mem::size_of::<dsa_tensor>() - 128usize];
    ["Alignment of dsa_tensor"][::core::mem::align_of::<dsa_tensor>() - 8usize];
    [
        "Offset of field: dsa_tensor::data",
    ][::core::mem::offset_of!(dsa_tensor, data) - 0usize];
    [
        "Offset of field: dsa_tensor::shape",
    ][::core::mem::offset_of!(dsa_tensor, shape) - 8usize];
    [
        "Offset of field: dsa_tensor::stride",
    ][::core::mem::offset_of!(dsa_tensor, stride) - 48usize];
    [
        "Offset of field: dsa_tensor::ndim",
    ][::core::mem::offset_of!(dsa_tensor, ndim) - 88usize];
    [
        "Offset of field: dsa_tensor::dtype",
    ][::core::mem::offset_of!(dsa_tensor, dtype) - 92usize];
    [
        "Offset of field: dsa_tensor::device",
    ][::core::mem::offset_of!(dsa_tensor, device) - 96usize];
    [
        "Offset of field: dsa_tensor::device_id",
    ][::core::mem::offset_of!(dsa_tensor, device_id) - 100usize];
    [
        "Offset of field: dsa_tensor::reserved",
    ][::core::mem::offset_of!(dsa_tensor, reserved) - 104usize];
};
#[repr(C)]
#[derive(Debug)]
pub struct dsa_ctx {
    _unused: [u8; 0],
}
pub type dsa_parallel_body = ::core::option::Option<
    unsafe extern "C" fn(body_arg: *mut ::core::ffi::c_void, index: i64),
>;
pub type dsa_parallel_for = ::core::option::Option<
    unsafe extern "C" fn(
        parallel_user: *mut ::core::ffi::c_void,
        count: i64,
        body: dsa_parallel_body,
        body_arg: *mut ::core::ffi::c_void,
    ),
>;
pub type dsa_allocate = ::core::option::Option<
    unsafe extern "C" fn(
        user: *mut ::core::ffi::c_void,
        bytes: u64,
        alignment: u64,
    ) -> *mut ::core::ffi::c_void,
>;
pub type dsa_release = ::core::option::Option<
    unsafe extern "C" fn(
        user: *mut ::core::ffi::c_void,
        memory: *mut ::core::ffi::c_void,
        bytes: u64,
    ),
>;
pub type dsa_log = ::core::option::Option<
    unsafe extern "C" fn(
        user: *mut ::core::ffi::c_void,
        level: i32,
        message: *const ::core::ffi::c_char,
    ),
>;
pub const DSA_CTX_DEVICE_OPTIONAL: i32 = 1;
pub const DSA_CTX_HYBRID_READY: i32 = 2;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct dsa_ctx_options {
    pub struct_size: u32,
    pub flags: u32,
    pub device: i32,
    pub device_id: i32,
    pub num_threads: i32,
    pub numa_node: i32,
    pub cpu_mask: *const u64,
    pub cpu_mask_words: u64,
    pub parallel_for: dsa_parallel_for,
    pub parallel_user: *mut ::core::ffi::c_void,
    pub allocate: dsa_allocate,
    pub release: dsa_release,
    pub allocator_user: *mut ::core::ffi::c_void,
    pub log: dsa_log,
    pub log_user: *mut ::core::ffi::c_void,
    pub module_path: *const ::core::ffi::c_char,
    pub pinned_bytes: u64,
    pub tune_path: *const ::core::ffi::c_char,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of dsa_ctx_options"][::core::mem::size_of::<dsa_ctx_options>() - 120usize];
    [
        "Alignment of dsa_ctx_options",
    ][::core::mem::align_of::<dsa_ctx_options>() - 8usize];
    [
        "Offset of field: dsa_ctx_options::struct_size",
    ][::core::mem::offset_of!(dsa_ctx_options, struct_size) - 0usize];
    [
        "Offset of field: dsa_ctx_options::flags",
    ][::core::mem::offset_of!(dsa_ctx_options, flags) - 4usize];
    [
        "Offset of field: dsa_ctx_options::device",
    ][::core::mem::offset_of!(dsa_ctx_options, device) - 8usize];
    [
        "Offset of field: dsa_ctx_options::device_id",
    ][::core::mem::offset_of!(dsa_ctx_options, device_id) - 12usize];
    [
        "Offset of field: dsa_ctx_options::num_threads",
    ][::core::mem::offset_of!(dsa_ctx_options, num_threads) - 16usize];
    [
        "Offset of field: dsa_ctx_options::numa_node",
    ][::core::mem::offset_of!(dsa_ctx_options, numa_node) - 20usize];
    [
        "Offset of field: dsa_ctx_options::cpu_mask",
    ][::core::mem::offset_of!(dsa_ctx_options, cpu_mask) - 24usize];
    [
        "Offset of field: dsa_ctx_options::cpu_mask_words",
    ][::core::mem::offset_of!(dsa_ctx_options, cpu_mask_words) - 32usize];
    [
        "Offset of field: dsa_ctx_options::parallel_for",
    ][::core::mem::offset_of!(dsa_ctx_options, parallel_for) - 40usize];
    [
        "Offset of field: dsa_ctx_options::parallel_user",
    ][::core::mem::offset_of!(dsa_ctx_options, parallel_user) - 48usize];
    [
        "Offset of field: dsa_ctx_options::allocate",
    ][::core::mem::offset_of!(dsa_ctx_options, allocate) - 56usize];
    [
        "Offset of field: dsa_ctx_options::release",
    ][::core::mem::offset_of!(dsa_ctx_options, release) - 64usize];
    [
        "Offset of field: dsa_ctx_options::allocator_user",
    ][::core::mem::offset_of!(dsa_ctx_options, allocator_user) - 72usize];
    [
        "Offset of field: dsa_ctx_options::log",
    ][::core::mem::offset_of!(dsa_ctx_options, log) - 80usize];
    [
        "Offset of field: dsa_ctx_options::log_user",
    ][::core::mem::offset_of!(dsa_ctx_options, log_user) - 88usize];
    [
        "Offset of field: dsa_ctx_options::module_path",
    ][::core::mem::offset_of!(dsa_ctx_options, module_path) - 96usize];
    [
        "Offset of field: dsa_ctx_options::pinned_bytes",
    ][::core::mem::offset_of!(dsa_ctx_options, pinned_bytes) - 104usize];
    [
        "Offset of field: dsa_ctx_options::tune_path",
    ][::core::mem::offset_of!(dsa_ctx_options, tune_path) - 112usize];
};
#[repr(C)]
#[derive(Debug)]
pub struct dsa_plan {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct dsa_exec {
    pub struct_size: u32,
    pub flags: u32,
    pub stream: *mut ::core::ffi::c_void,
    pub workspace: *mut ::core::ffi::c_void,
    pub workspace_size: u64,
    pub plan: *const dsa_plan,
    pub parallel_user: *mut ::core::ffi::c_void,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of dsa_exec"][::core::mem::size_of::<dsa_exec>() - 48usize];
    ["Alignment of dsa_exec"][::core::mem::align_of::<dsa_exec>() - 8usize];
    [
        "Offset of field: dsa_exec::struct_size",
    ][::core::mem::offset_of!(dsa_exec, struct_size) - 0usize];
    [
        "Offset of field: dsa_exec::flags",
    ][::core::mem::offset_of!(dsa_exec, flags) - 4usize];
    [
        "Offset of field: dsa_exec::stream",
    ][::core::mem::offset_of!(dsa_exec, stream) - 8usize];
    [
        "Offset of field: dsa_exec::workspace",
    ][::core::mem::offset_of!(dsa_exec, workspace) - 16usize];
    [
        "Offset of field: dsa_exec::workspace_size",
    ][::core::mem::offset_of!(dsa_exec, workspace_size) - 24usize];
    [
        "Offset of field: dsa_exec::plan",
    ][::core::mem::offset_of!(dsa_exec, plan) - 32usize];
    [
        "Offset of field: dsa_exec::parallel_user",
    ][::core::mem::offset_of!(dsa_exec, parallel_user) - 40usize];
};
pub const DSA_OP_INDEXER: i32 = 1;
pub const DSA_OP_TOPK: i32 = 2;
pub const DSA_OP_INDEXER_TOPK: i32 = 3;
pub const DSA_OP_SPARSE_ATTN: i32 = 4;
pub const DSA_OP_MERGE_LSE: i32 = 5;
pub const DSA_OP_FORWARD: i32 = 6;
pub const DSA_LAYOUT_ROWS: i32 = 0;
pub const DSA_LAYOUT_PAGES: i32 = 1;
pub const DSA_LAYOUT_BATCH: i32 = 2;
pub const DSA_FORMAT_PLAIN: i32 = 0;
pub const DSA_FORMAT_KEY_PAGE_132: i32 = 1;
pub const DSA_FORMAT_KV_FP8_656: i32 = 2;
pub const DSA_FORMAT_KV_FP8_584: i32 = 3;
pub const DSA_FORMAT_KV_FP8_528: i32 = 4;
pub const DSA_CAUSAL: i32 = 1;
pub const DSA_COLUMNS_FROM_BEGIN: i32 = 2;
pub const DSA_KEEP_INVISIBLE: i32 = 4;
pub const DSA_NO_RELU: i32 = 8;
pub const DSA_SELECT_NEG_INF: i32 = 16;
pub const DSA_BLOCK_TAIL: i32 = 32;
pub const DSA_LSE_BASE2: i32 = 64;
pub const DSA_LSE_WITH_SINK: i32 = 128;
pub const DSA_LSE_EMPTY_POS_INF: i32 = 256;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct dsa_indexer_desc {
    pub struct_size: u32,
    pub kind: u32,
    pub flags: u64,
    pub batch: i64,
    pub offset: i64,
    pub max_keys: i64,
    pub next_n: i32,
    pub ratio: i32,
    pub key_layout: i32,
    pub key_format: i32,
    pub page_size: i32,
    pub shard_rank: i32,
    pub shard_ranks: i32,
    pub shard_interleave: i32,
    pub q: dsa_tensor,
    pub keys: dsa_tensor,
    pub w: dsa_tensor,
    pub q_scale: dsa_tensor,
    pub k_scale: dsa_tensor,
    pub block_table: dsa_tensor,
    pub row_request: dsa_tensor,
    pub row_begin: dsa_tensor,
    pub row_end: dsa_tensor,
    pub seq_lens: dsa_tensor,
    pub mask: dsa_tensor,
    pub scores: dsa_tensor,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of dsa_indexer_desc"][::core::mem::size_of::<dsa_indexer_desc>() - 1608usize];
    [
        "Alignment of dsa_indexer_desc",
    ][::core::mem::align_of::<dsa_indexer_desc>() - 8usize];
    [
        "Offset of field: dsa_indexer_desc::struct_size",
    ][::core::mem::offset_of!(dsa_indexer_desc, struct_size) - 0usize];
    [
        "Offset of field: dsa_indexer_desc::kind",
    ][::core::mem::offset_of!(dsa_indexer_desc, kind) - 4usize];
    [
        "Offset of field: dsa_indexer_desc::flags",
    ][::core::mem::offset_of!(dsa_indexer_desc, flags) - 8usize];
    [
        "Offset of field: dsa_indexer_desc::batch",
    ][::core::mem::offset_of!(dsa_indexer_desc, batch) - 16usize];
    [
        "Offset of field: dsa_indexer_desc::offset",
    ][::core::mem::offset_of!(dsa_indexer_desc, offset) - 24usize];
    [
        "Offset of field: dsa_indexer_desc::max_keys",
    ][::core::mem::offset_of!(dsa_indexer_desc, max_keys) - 32usize];
    [
        "Offset of field: dsa_indexer_desc::next_n",
    ][::core::mem::offset_of!(dsa_indexer_desc, next_n) - 40usize];
    [
        "Offset of field: dsa_indexer_desc::ratio",
    ][::core::mem::offset_of!(dsa_indexer_desc, ratio) - 44usize];
    [
        "Offset of field: dsa_indexer_desc::key_layout",
    ][::core::mem::offset_of!(dsa_indexer_desc, key_layout) - 48usize];
    [
        "Offset of field: dsa_indexer_desc::key_format",
    ][::core::mem::offset_of!(dsa_indexer_desc, key_format) - 52usize];
    [
        "Offset of field: dsa_indexer_desc::page_size",
    ][::core::mem::offset_of!(dsa_indexer_desc, page_size) - 56usize];
    [
        "Offset of field: dsa_indexer_desc::shard_rank",
    ][::core::mem::offset_of!(dsa_indexer_desc, shard_rank) - 60usize];
    [
        "Offset of field: dsa_indexer_desc::shard_ranks",
    ][::core::mem::offset_of!(dsa_indexer_desc, shard_ranks) - 64usize];
    [
        "Offset of field: dsa_indexer_desc::shard_interleave",
    ][::core::mem::offset_of!(dsa_indexer_desc, shard_interleave) - 68usize];
    [
        "Offset of field: dsa_indexer_desc::q",
    ][::core::mem::offset_of!(dsa_indexer_desc, q) - 72usize];
    [
        "Offset of field: dsa_indexer_desc::keys",
    ][::core::mem::offset_of!(dsa_indexer_desc, keys) - 200usize];
    [
        "Offset of field: dsa_indexer_desc::w",
    ][::core::mem::offset_of!(dsa_indexer_desc, w) - 328usize];
    [
        "Offset of field: dsa_indexer_desc::q_scale",
    ][::core::mem::offset_of!(dsa_indexer_desc, q_scale) - 456usize];
    [
        "Offset of field: dsa_indexer_desc::k_scale",
    ][::core::mem::offset_of!(dsa_indexer_desc, k_scale) - 584usize];
    [
        "Offset of field: dsa_indexer_desc::block_table",
    ][::core::mem::offset_of!(dsa_indexer_desc, block_table) - 712usize];
    [
        "Offset of field: dsa_indexer_desc::row_request",
    ][::core::mem::offset_of!(dsa_indexer_desc, row_request) - 840usize];
    [
        "Offset of field: dsa_indexer_desc::row_begin",
    ][::core::mem::offset_of!(dsa_indexer_desc, row_begin) - 968usize];
    [
        "Offset of field: dsa_indexer_desc::row_end",
    ][::core::mem::offset_of!(dsa_indexer_desc, row_end) - 1096usize];
    [
        "Offset of field: dsa_indexer_desc::seq_lens",
    ][::core::mem::offset_of!(dsa_indexer_desc, seq_lens) - 1224usize];
    [
        "Offset of field: dsa_indexer_desc::mask",
    ][::core::mem::offset_of!(dsa_indexer_desc, mask) - 1352usize];
    [
        "Offset of field: dsa_indexer_desc::scores",
    ][::core::mem::offset_of!(dsa_indexer_desc, scores) - 1480usize];
};
pub const DSA_ORDER_INDEX: i32 = 0;
pub const DSA_ORDER_SCORE: i32 = 1;
pub const DSA_ORDER_ANY: i32 = 2;
pub const DSA_TIES_SMALLER_INDEX: i32 = 0;
pub const DSA_TIES_ANY: i32 = 1;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct dsa_topk_desc {
    pub struct_size: u32,
    pub kind: u32,
    pub flags: u64,
    pub batch: i64,
    pub offset: i64,
    pub max_keys: i64,
    pub next_n: i32,
    pub ratio: i32,
    pub page_size: i32,
    pub k: i32,
    pub order: i32,
    pub ties: i32,
    pub slot_page_size: i32,
    pub slot_page_stride: i32,
    pub force_first: i32,
    pub force_last: i32,
    pub select_block: i32,
    pub shard_rank: i32,
    pub shard_ranks: i32,
    pub shard_interleave: i32,
    pub scores: dsa_tensor,
    pub block_table: dsa_tensor,
    pub row_request: dsa_tensor,
    pub row_begin: dsa_tensor,
    pub row_end: dsa_tensor,
    pub seq_lens: dsa_tensor,
    pub mask: dsa_tensor,
    pub index_base: dsa_tensor,
    pub slot_table: dsa_tensor,
    pub hint_indices: dsa_tensor,
    pub hint_bound: dsa_tensor,
    pub candidates: dsa_tensor,
    pub candidate_blocks: dsa_tensor,
    pub indices: dsa_tensor,
    pub slots: dsa_tensor,
    pub values: dsa_tensor,
    pub counts: dsa_tensor,
    pub cut_score: dsa_tensor,
    pub cut_index: dsa_tensor,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of dsa_topk_desc"][::core::mem::size_of::<dsa_topk_desc>() - 2528usize];
    ["Alignment of dsa_topk_desc"][::core::mem::align_of::<dsa_topk_desc>() - 8usize];
    [
        "Offset of field: dsa_topk_desc::struct_size",
    ][::core::mem::offset_of!(dsa_topk_desc, struct_size) - 0usize];
    [
        "Offset of field: dsa_topk_desc::kind",
    ][::core::mem::offset_of!(dsa_topk_desc, kind) - 4usize];
    [
        "Offset of field: dsa_topk_desc::flags",
    ][::core::mem::offset_of!(dsa_topk_desc, flags) - 8usize];
    [
        "Offset of field: dsa_topk_desc::batch",
    ][::core::mem::offset_of!(dsa_topk_desc, batch) - 16usize];
    [
        "Offset of field: dsa_topk_desc::offset",
    ][::core::mem::offset_of!(dsa_topk_desc, offset) - 24usize];
    [
        "Offset of field: dsa_topk_desc::max_keys",
    ][::core::mem::offset_of!(dsa_topk_desc, max_keys) - 32usize];
    [
        "Offset of field: dsa_topk_desc::next_n",
    ][::core::mem::offset_of!(dsa_topk_desc, next_n) - 40usize];
    [
        "Offset of field: dsa_topk_desc::ratio",
    ][::core::mem::offset_of!(dsa_topk_desc, ratio) - 44usize];
    [
        "Offset of field: dsa_topk_desc::page_size",
    ][::core::mem::offset_of!(dsa_topk_desc, page_size) - 48usize];
    [
        "Offset of field: dsa_topk_desc::k",
    ][::core::mem::offset_of!(dsa_topk_desc, k) - 52usize];
    [
        "Offset of field: dsa_topk_desc::order",
    ][::core::mem::offset_of!(dsa_topk_desc, order) - 56usize];
    [
        "Offset of field: dsa_topk_desc::ties",
    ][::core::mem::offset_of!(dsa_topk_desc, ties) - 60usize];
    [
        "Offset of field: dsa_topk_desc::slot_page_size",
    ][::core::mem::offset_of!(dsa_topk_desc, slot_page_size) - 64usize];
    [
        "Offset of field: dsa_topk_desc::slot_page_stride",
    ][::core::mem::offset_of!(dsa_topk_desc, slot_page_stride) - 68usize];
    [
        "Offset of field: dsa_topk_desc::force_first",
    ][::core::mem::offset_of!(dsa_topk_desc, force_first) - 72usize];
    [
        "Offset of field: dsa_topk_desc::force_last",
    ][::core::mem::offset_of!(dsa_topk_desc, force_last) - 76usize];
    [
        "Offset of field: dsa_topk_desc::select_block",
    ][::core::mem::offset_of!(dsa_topk_desc, select_block) - 80usize];
    [
        "Offset of field: dsa_topk_desc::shard_rank",
    ][::core::mem::offset_of!(dsa_topk_desc, shard_rank) - 84usize];
    [
        "Offset of field: dsa_topk_desc::shard_ranks",
    ][::core::mem::offset_of!(dsa_topk_desc, shard_ranks) - 88usize];
    [
        "Offset of field: dsa_topk_desc::shard_interleave",
    ][::core::mem::offset_of!(dsa_topk_desc, shard_interleave) - 92usize];
    [
        "Offset of field: dsa_topk_desc::scores",
    ][::core::mem::offset_of!(dsa_topk_desc, scores) - 96usize];
    [
        "Offset of field: dsa_topk_desc::block_table",
    ][::core::mem::offset_of!(dsa_topk_desc, block_table) - 224usize];
    [
        "Offset of field: dsa_topk_desc::row_request",
    ][::core::mem::offset_of!(dsa_topk_desc, row_request) - 352usize];
    [
        "Offset of field: dsa_topk_desc::row_begin",
    ][::core::mem::offset_of!(dsa_topk_desc, row_begin) - 480usize];
    [
        "Offset of field: dsa_topk_desc::row_end",
    ][::core::mem::offset_of!(dsa_topk_desc, row_end) - 608usize];
    [
        "Offset of field: dsa_topk_desc::seq_lens",
    ][::core::mem::offset_of!(dsa_topk_desc, seq_lens) - 736usize];
    [
        "Offset of field: dsa_topk_desc::mask",
    ][::core::mem::offset_of!(dsa_topk_desc, mask) - 864usize];
    [
        "Offset of field: dsa_topk_desc::index_base",
    ][::core::mem::offset_of!(dsa_topk_desc, index_base) - 992usize];
    [
        "Offset of field: dsa_topk_desc::slot_table",
    ][::core::mem::offset_of!(dsa_topk_desc, slot_table) - 1120usize];
    [
        "Offset of field: dsa_topk_desc::hint_indices",
    ][::core::mem::offset_of!(dsa_topk_desc, hint_indices) - 1248usize];
    [
        "Offset of field: dsa_topk_desc::hint_bound",
    ][::core::mem::offset_of!(dsa_topk_desc, hint_bound) - 1376usize];
    [
        "Offset of field: dsa_topk_desc::candidates",
    ][::core::mem::offset_of!(dsa_topk_desc, candidates) - 1504usize];
    [
        "Offset of field: dsa_topk_desc::candidate_blocks",
    ][::core::mem::offset_of!(dsa_topk_desc, candidate_blocks) - 1632usize];
    [
        "Offset of field: dsa_topk_desc::indices",
    ][::core::mem::offset_of!(dsa_topk_desc, indices) - 1760usize];
    [
        "Offset of field: dsa_topk_desc::slots",
    ][::core::mem::offset_of!(dsa_topk_desc, slots) - 1888usize];
    [
        "Offset of field: dsa_topk_desc::values",
    ][::core::mem::offset_of!(dsa_topk_desc, values) - 2016usize];
    [
        "Offset of field: dsa_topk_desc::counts",
    ][::core::mem::offset_of!(dsa_topk_desc, counts) - 2144usize];
    [
        "Offset of field: dsa_topk_desc::cut_score",
    ][::core::mem::offset_of!(dsa_topk_desc, cut_score) - 2272usize];
    [
        "Offset of field: dsa_topk_desc::cut_index",
    ][::core::mem::offset_of!(dsa_topk_desc, cut_index) - 2400usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct dsa_indexer_topk_desc {
    pub struct_size: u32,
    pub kind: u32,
    pub flags: u64,
    pub batch: i64,
    pub offset: i64,
    pub max_keys: i64,
    pub next_n: i32,
    pub ratio: i32,
    pub key_layout: i32,
    pub key_format: i32,
    pub page_size: i32,
    pub k: i32,
    pub order: i32,
    pub ties: i32,
    pub slot_page_size: i32,
    pub slot_page_stride: i32,
    pub force_first: i32,
    pub force_last: i32,
    pub select_block: i32,
    pub shard_rank: i32,
    pub shard_ranks: i32,
    pub shard_interleave: i32,
    pub q: dsa_tensor,
    pub keys: dsa_tensor,
    pub w: dsa_tensor,
    pub q_scale: dsa_tensor,
    pub k_scale: dsa_tensor,
    pub block_table: dsa_tensor,
    pub row_request: dsa_tensor,
    pub row_begin: dsa_tensor,
    pub row_end: dsa_tensor,
    pub seq_lens: dsa_tensor,
    pub mask: dsa_tensor,
    pub index_base: dsa_tensor,
    pub slot_table: dsa_tensor,
    pub hint_indices: dsa_tensor,
    pub hint_bound: dsa_tensor,
    pub candidates: dsa_tensor,
    pub candidate_blocks: dsa_tensor,
    pub indices: dsa_tensor,
    pub slots: dsa_tensor,
    pub values: dsa_tensor,
    pub counts: dsa_tensor,
    pub cut_score: dsa_tensor,
    pub cut_index: dsa_tensor,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of dsa_indexer_topk_desc",
    ][::core::mem::size_of::<dsa_indexer_topk_desc>() - 3048usize];
    [
        "Alignment of dsa_indexer_topk_desc",
    ][::core::mem::align_of::<dsa_indexer_topk_desc>() - 8usize];
    [
        "Offset of field: dsa_indexer_topk_desc::struct_size",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, struct_size) - 0usize];
    [
        "Offset of field: dsa_indexer_topk_desc::kind",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, kind) - 4usize];
    [
        "Offset of field: dsa_indexer_topk_desc::flags",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, flags) - 8usize];
    [
        "Offset of field: dsa_indexer_topk_desc::batch",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, batch) - 16usize];
    [
        "Offset of field: dsa_indexer_topk_desc::offset",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, offset) - 24usize];
    [
        "Offset of field: dsa_indexer_topk_desc::max_keys",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, max_keys) - 32usize];
    [
        "Offset of field: dsa_indexer_topk_desc::next_n",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, next_n) - 40usize];
    [
        "Offset of field: dsa_indexer_topk_desc::ratio",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, ratio) - 44usize];
    [
        "Offset of field: dsa_indexer_topk_desc::key_layout",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, key_layout) - 48usize];
    [
        "Offset of field: dsa_indexer_topk_desc::key_format",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, key_format) - 52usize];
    [
        "Offset of field: dsa_indexer_topk_desc::page_size",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, page_size) - 56usize];
    [
        "Offset of field: dsa_indexer_topk_desc::k",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, k) - 60usize];
    [
        "Offset of field: dsa_indexer_topk_desc::order",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, order) - 64usize];
    [
        "Offset of field: dsa_indexer_topk_desc::ties",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, ties) - 68usize];
    [
        "Offset of field: dsa_indexer_topk_desc::slot_page_size",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, slot_page_size) - 72usize];
    [
        "Offset of field: dsa_indexer_topk_desc::slot_page_stride",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, slot_page_stride) - 76usize];
    [
        "Offset of field: dsa_indexer_topk_desc::force_first",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, force_first) - 80usize];
    [
        "Offset of field: dsa_indexer_topk_desc::force_last",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, force_last) - 84usize];
    [
        "Offset of field: dsa_indexer_topk_desc::select_block",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, select_block) - 88usize];
    [
        "Offset of field: dsa_indexer_topk_desc::shard_rank",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, shard_rank) - 92usize];
    [
        "Offset of field: dsa_indexer_topk_desc::shard_ranks",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, shard_ranks) - 96usize];
    [
        "Offset of field: dsa_indexer_topk_desc::shard_interleave",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, shard_interleave) - 100usize];
    [
        "Offset of field: dsa_indexer_topk_desc::q",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, q) - 104usize];
    [
        "Offset of field: dsa_indexer_topk_desc::keys",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, keys) - 232usize];
    [
        "Offset of field: dsa_indexer_topk_desc::w",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, w) - 360usize];
    [
        "Offset of field: dsa_indexer_topk_desc::q_scale",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, q_scale) - 488usize];
    [
        "Offset of field: dsa_indexer_topk_desc::k_scale",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, k_scale) - 616usize];
    [
        "Offset of field: dsa_indexer_topk_desc::block_table",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, block_table) - 744usize];
    [
        "Offset of field: dsa_indexer_topk_desc::row_request",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, row_request) - 872usize];
    [
        "Offset of field: dsa_indexer_topk_desc::row_begin",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, row_begin) - 1000usize];
    [
        "Offset of field: dsa_indexer_topk_desc::row_end",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, row_end) - 1128usize];
    [
        "Offset of field: dsa_indexer_topk_desc::seq_lens",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, seq_lens) - 1256usize];
    [
        "Offset of field: dsa_indexer_topk_desc::mask",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, mask) - 1384usize];
    [
        "Offset of field: dsa_indexer_topk_desc::index_base",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, index_base) - 1512usize];
    [
        "Offset of field: dsa_indexer_topk_desc::slot_table",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, slot_table) - 1640usize];
    [
        "Offset of field: dsa_indexer_topk_desc::hint_indices",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, hint_indices) - 1768usize];
    [
        "Offset of field: dsa_indexer_topk_desc::hint_bound",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, hint_bound) - 1896usize];
    [
        "Offset of field: dsa_indexer_topk_desc::candidates",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, candidates) - 2024usize];
    [
        "Offset of field: dsa_indexer_topk_desc::candidate_blocks",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, candidate_blocks) - 2152usize];
    [
        "Offset of field: dsa_indexer_topk_desc::indices",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, indices) - 2280usize];
    [
        "Offset of field: dsa_indexer_topk_desc::slots",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, slots) - 2408usize];
    [
        "Offset of field: dsa_indexer_topk_desc::values",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, values) - 2536usize];
    [
        "Offset of field: dsa_indexer_topk_desc::counts",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, counts) - 2664usize];
    [
        "Offset of field: dsa_indexer_topk_desc::cut_score",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, cut_score) - 2792usize];
    [
        "Offset of field: dsa_indexer_topk_desc::cut_index",
    ][::core::mem::offset_of!(dsa_indexer_topk_desc, cut_index) - 2920usize];
};
pub const DSA_SELECTION_INDICES: i32 = 0;
pub const DSA_SELECTION_SLOTS: i32 = 1;
pub const DSA_SELECTION_CUT: i32 = 2;
pub const DSA_SELECTION_ALL: i32 = 3;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct dsa_sparse_attn_desc {
    pub struct_size: u32,
    pub kind: u32,
    pub flags: u64,
    pub batch: i64,
    pub offset: i64,
    pub max_keys: i64,
    pub next_n: i32,
    pub ratio: i32,
    pub key_layout: i32,
    pub key_format: i32,
    pub page_size: i32,
    pub selection: i32,
    pub k: i32,
    pub index_block: i32,
    pub slot_page_size: i32,
    pub slot_page_stride: i32,
    pub scale: f32,
    pub k_b: i32,
    pub key_layout_b: i32,
    pub key_format_b: i32,
    pub page_size_b: i32,
    pub selection_b: i32,
    pub slot_page_size_b: i32,
    pub slot_page_stride_b: i32,
    pub q: dsa_tensor,
    pub q2: dsa_tensor,
    pub kv: dsa_tensor,
    pub kv2: dsa_tensor,
    pub v: dsa_tensor,
    pub kv_scale: dsa_tensor,
    pub v_scale: dsa_tensor,
    pub q_scale: dsa_tensor,
    pub block_table: dsa_tensor,
    pub row_request: dsa_tensor,
    pub row_begin: dsa_tensor,
    pub row_end: dsa_tensor,
    pub seq_lens: dsa_tensor,
    pub mask: dsa_tensor,
    pub index_base: dsa_tensor,
    pub indices: dsa_tensor,
    pub counts: dsa_tensor,
    pub scores: dsa_tensor,
    pub cut_score: dsa_tensor,
    pub cut_index: dsa_tensor,
    pub sink: dsa_tensor,
    pub kv_b: dsa_tensor,
    pub kv2_b: dsa_tensor,
    pub v_b: dsa_tensor,
    pub kv_scale_b: dsa_tensor,
    pub v_scale_b: dsa_tensor,
    pub block_table_b: dsa_tensor,
    pub row_begin_b: dsa_tensor,
    pub row_end_b: dsa_tensor,
    pub indices_b: dsa_tensor,
    pub counts_b: dsa_tensor,
    pub out: dsa_tensor,
    pub lse: dsa_tensor,
    pub max: dsa_tensor,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of dsa_sparse_attn_desc",
    ][::core::mem::size_of::<dsa_sparse_attn_desc>() - 4464usize];
    [
        "Alignment of dsa_sparse_attn_desc",
    ][::core::mem::align_of::<dsa_sparse_attn_desc>() - 8usize];
    [
        "Offset of field: dsa_sparse_attn_desc::struct_size",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, struct_size) - 0usize];
    [
        "Offset of field: dsa_sparse_attn_desc::kind",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, kind) - 4usize];
    [
        "Offset of field: dsa_sparse_attn_desc::flags",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, flags) - 8usize];
    [
        "Offset of field: dsa_sparse_attn_desc::batch",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, batch) - 16usize];
    [
        "Offset of field: dsa_sparse_attn_desc::offset",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, offset) - 24usize];
    [
        "Offset of field: dsa_sparse_attn_desc::max_keys",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, max_keys) - 32usize];
    [
        "Offset of field: dsa_sparse_attn_desc::next_n",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, next_n) - 40usize];
    [
        "Offset of field: dsa_sparse_attn_desc::ratio",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, ratio) - 44usize];
    [
        "Offset of field: dsa_sparse_attn_desc::key_layout",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, key_layout) - 48usize];
    [
        "Offset of field: dsa_sparse_attn_desc::key_format",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, key_format) - 52usize];
    [
        "Offset of field: dsa_sparse_attn_desc::page_size",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, page_size) - 56usize];
    [
        "Offset of field: dsa_sparse_attn_desc::selection",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, selection) - 60usize];
    [
        "Offset of field: dsa_sparse_attn_desc::k",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, k) - 64usize];
    [
        "Offset of field: dsa_sparse_attn_desc::index_block",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, index_block) - 68usize];
    [
        "Offset of field: dsa_sparse_attn_desc::slot_page_size",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, slot_page_size) - 72usize];
    [
        "Offset of field: dsa_sparse_attn_desc::slot_page_stride",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, slot_page_stride) - 76usize];
    [
        "Offset of field: dsa_sparse_attn_desc::scale",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, scale) - 80usize];
    [
        "Offset of field: dsa_sparse_attn_desc::k_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, k_b) - 84usize];
    [
        "Offset of field: dsa_sparse_attn_desc::key_layout_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, key_layout_b) - 88usize];
    [
        "Offset of field: dsa_sparse_attn_desc::key_format_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, key_format_b) - 92usize];
    [
        "Offset of field: dsa_sparse_attn_desc::page_size_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, page_size_b) - 96usize];
    [
        "Offset of field: dsa_sparse_attn_desc::selection_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, selection_b) - 100usize];
    [
        "Offset of field: dsa_sparse_attn_desc::slot_page_size_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, slot_page_size_b) - 104usize];
    [
        "Offset of field: dsa_sparse_attn_desc::slot_page_stride_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, slot_page_stride_b) - 108usize];
    [
        "Offset of field: dsa_sparse_attn_desc::q",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, q) - 112usize];
    [
        "Offset of field: dsa_sparse_attn_desc::q2",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, q2) - 240usize];
    [
        "Offset of field: dsa_sparse_attn_desc::kv",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, kv) - 368usize];
    [
        "Offset of field: dsa_sparse_attn_desc::kv2",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, kv2) - 496usize];
    [
        "Offset of field: dsa_sparse_attn_desc::v",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, v) - 624usize];
    [
        "Offset of field: dsa_sparse_attn_desc::kv_scale",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, kv_scale) - 752usize];
    [
        "Offset of field: dsa_sparse_attn_desc::v_scale",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, v_scale) - 880usize];
    [
        "Offset of field: dsa_sparse_attn_desc::q_scale",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, q_scale) - 1008usize];
    [
        "Offset of field: dsa_sparse_attn_desc::block_table",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, block_table) - 1136usize];
    [
        "Offset of field: dsa_sparse_attn_desc::row_request",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, row_request) - 1264usize];
    [
        "Offset of field: dsa_sparse_attn_desc::row_begin",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, row_begin) - 1392usize];
    [
        "Offset of field: dsa_sparse_attn_desc::row_end",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, row_end) - 1520usize];
    [
        "Offset of field: dsa_sparse_attn_desc::seq_lens",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, seq_lens) - 1648usize];
    [
        "Offset of field: dsa_sparse_attn_desc::mask",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, mask) - 1776usize];
    [
        "Offset of field: dsa_sparse_attn_desc::index_base",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, index_base) - 1904usize];
    [
        "Offset of field: dsa_sparse_attn_desc::indices",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, indices) - 2032usize];
    [
        "Offset of field: dsa_sparse_attn_desc::counts",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, counts) - 2160usize];
    [
        "Offset of field: dsa_sparse_attn_desc::scores",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, scores) - 2288usize];
    [
        "Offset of field: dsa_sparse_attn_desc::cut_score",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, cut_score) - 2416usize];
    [
        "Offset of field: dsa_sparse_attn_desc::cut_index",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, cut_index) - 2544usize];
    [
        "Offset of field: dsa_sparse_attn_desc::sink",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, sink) - 2672usize];
    [
        "Offset of field: dsa_sparse_attn_desc::kv_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, kv_b) - 2800usize];
    [
        "Offset of field: dsa_sparse_attn_desc::kv2_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, kv2_b) - 2928usize];
    [
        "Offset of field: dsa_sparse_attn_desc::v_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, v_b) - 3056usize];
    [
        "Offset of field: dsa_sparse_attn_desc::kv_scale_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, kv_scale_b) - 3184usize];
    [
        "Offset of field: dsa_sparse_attn_desc::v_scale_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, v_scale_b) - 3312usize];
    [
        "Offset of field: dsa_sparse_attn_desc::block_table_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, block_table_b) - 3440usize];
    [
        "Offset of field: dsa_sparse_attn_desc::row_begin_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, row_begin_b) - 3568usize];
    [
        "Offset of field: dsa_sparse_attn_desc::row_end_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, row_end_b) - 3696usize];
    [
        "Offset of field: dsa_sparse_attn_desc::indices_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, indices_b) - 3824usize];
    [
        "Offset of field: dsa_sparse_attn_desc::counts_b",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, counts_b) - 3952usize];
    [
        "Offset of field: dsa_sparse_attn_desc::out",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, out) - 4080usize];
    [
        "Offset of field: dsa_sparse_attn_desc::lse",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, lse) - 4208usize];
    [
        "Offset of field: dsa_sparse_attn_desc::max",
    ][::core::mem::offset_of!(dsa_sparse_attn_desc, max) - 4336usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct dsa_merge_lse_desc {
    pub struct_size: u32,
    pub kind: u32,
    pub flags: u64,
    pub partial_out: dsa_tensor,
    pub partial_lse: dsa_tensor,
    pub partial_max: dsa_tensor,
    pub sink: dsa_tensor,
    pub out: dsa_tensor,
    pub lse: dsa_tensor,
    pub max: dsa_tensor,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of dsa_merge_lse_desc",
    ][::core::mem::size_of::<dsa_merge_lse_desc>() - 912usize];
    [
        "Alignment of dsa_merge_lse_desc",
    ][::core::mem::align_of::<dsa_merge_lse_desc>() - 8usize];
    [
        "Offset of field: dsa_merge_lse_desc::struct_size",
    ][::core::mem::offset_of!(dsa_merge_lse_desc, struct_size) - 0usize];
    [
        "Offset of field: dsa_merge_lse_desc::kind",
    ][::core::mem::offset_of!(dsa_merge_lse_desc, kind) - 4usize];
    [
        "Offset of field: dsa_merge_lse_desc::flags",
    ][::core::mem::offset_of!(dsa_merge_lse_desc, flags) - 8usize];
    [
        "Offset of field: dsa_merge_lse_desc::partial_out",
    ][::core::mem::offset_of!(dsa_merge_lse_desc, partial_out) - 16usize];
    [
        "Offset of field: dsa_merge_lse_desc::partial_lse",
    ][::core::mem::offset_of!(dsa_merge_lse_desc, partial_lse) - 144usize];
    [
        "Offset of field: dsa_merge_lse_desc::partial_max",
    ][::core::mem::offset_of!(dsa_merge_lse_desc, partial_max) - 272usize];
    [
        "Offset of field: dsa_merge_lse_desc::sink",
    ][::core::mem::offset_of!(dsa_merge_lse_desc, sink) - 400usize];
    [
        "Offset of field: dsa_merge_lse_desc::out",
    ][::core::mem::offset_of!(dsa_merge_lse_desc, out) - 528usize];
    [
        "Offset of field: dsa_merge_lse_desc::lse",
    ][::core::mem::offset_of!(dsa_merge_lse_desc, lse) - 656usize];
    [
        "Offset of field: dsa_merge_lse_desc::max",
    ][::core::mem::offset_of!(dsa_merge_lse_desc, max) - 784usize];
};
pub const DSA_ROUTE_AUTO: i32 = 0;
pub const DSA_ROUTE_GPU: i32 = 1;
pub const DSA_ROUTE_CPU: i32 = 2;
pub const DSA_ROUTE_HYBRID: i32 = 3;
pub const DSA_ROUTE_HYBRID_PREFILTER: i32 = 4;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct dsa_forward_desc {
    pub struct_size: u32,
    pub kind: u32,
    pub flags: u64,
    pub route: i32,
    pub gpu_busy: f32,
    pub memory_limit: u64,
    pub select: *const dsa_indexer_topk_desc,
    pub attend: *const dsa_sparse_attn_desc,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of dsa_forward_desc"][::core::mem::size_of::<dsa_forward_desc>() - 48usize];
    [
        "Alignment of dsa_forward_desc",
    ][::core::mem::align_of::<dsa_forward_desc>() - 8usize];
    [
        "Offset of field: dsa_forward_desc::struct_size",
    ][::core::mem::offset_of!(dsa_forward_desc, struct_size) - 0usize];
    [
        "Offset of field: dsa_forward_desc::kind",
    ][::core::mem::offset_of!(dsa_forward_desc, kind) - 4usize];
    [
        "Offset of field: dsa_forward_desc::flags",
    ][::core::mem::offset_of!(dsa_forward_desc, flags) - 8usize];
    [
        "Offset of field: dsa_forward_desc::route",
    ][::core::mem::offset_of!(dsa_forward_desc, route) - 16usize];
    [
        "Offset of field: dsa_forward_desc::gpu_busy",
    ][::core::mem::offset_of!(dsa_forward_desc, gpu_busy) - 20usize];
    [
        "Offset of field: dsa_forward_desc::memory_limit",
    ][::core::mem::offset_of!(dsa_forward_desc, memory_limit) - 24usize];
    [
        "Offset of field: dsa_forward_desc::select",
    ][::core::mem::offset_of!(dsa_forward_desc, select) - 32usize];
    [
        "Offset of field: dsa_forward_desc::attend",
    ][::core::mem::offset_of!(dsa_forward_desc, attend) - 40usize];
};
pub type dsa_tune_progress = ::core::option::Option<
    unsafe extern "C" fn(
        user: *mut ::core::ffi::c_void,
        done: f64,
        what: *const ::core::ffi::c_char,
    ),
>;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct dsa_tune_options {
    pub struct_size: u32,
    pub flags: u32,
    pub path: *const ::core::ffi::c_char,
    pub progress: dsa_tune_progress,
    pub progress_user: *mut ::core::ffi::c_void,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of dsa_tune_options"][::core::mem::size_of::<dsa_tune_options>() - 32usize];
    [
        "Alignment of dsa_tune_options",
    ][::core::mem::align_of::<dsa_tune_options>() - 8usize];
    [
        "Offset of field: dsa_tune_options::struct_size",
    ][::core::mem::offset_of!(dsa_tune_options, struct_size) - 0usize];
    [
        "Offset of field: dsa_tune_options::flags",
    ][::core::mem::offset_of!(dsa_tune_options, flags) - 4usize];
    [
        "Offset of field: dsa_tune_options::path",
    ][::core::mem::offset_of!(dsa_tune_options, path) - 8usize];
    [
        "Offset of field: dsa_tune_options::progress",
    ][::core::mem::offset_of!(dsa_tune_options, progress) - 16usize];
    [
        "Offset of field: dsa_tune_options::progress_user",
    ][::core::mem::offset_of!(dsa_tune_options, progress_user) - 24usize];
};
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct dsa_kernel_info {
    pub struct_size: u32,
    pub operation: i32,
    pub device: i32,
    pub usable: i32,
    pub name: [::core::ffi::c_char; 64usize],
    pub family: [::core::ffi::c_char; 16usize],
    pub reason: [::core::ffi::c_char; 160usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of dsa_kernel_info"][::core::mem::size_of::<dsa_kernel_info>() - 256usize];
    [
        "Alignment of dsa_kernel_info",
    ][::core::mem::align_of::<dsa_kernel_info>() - 4usize];
    [
        "Offset of field: dsa_kernel_info::struct_size",
    ][::core::mem::offset_of!(dsa_kernel_info, struct_size) - 0usize];
    [
        "Offset of field: dsa_kernel_info::operation",
    ][::core::mem::offset_of!(dsa_kernel_info, operation) - 4usize];
    [
        "Offset of field: dsa_kernel_info::device",
    ][::core::mem::offset_of!(dsa_kernel_info, device) - 8usize];
    [
        "Offset of field: dsa_kernel_info::usable",
    ][::core::mem::offset_of!(dsa_kernel_info, usable) - 12usize];
    [
        "Offset of field: dsa_kernel_info::name",
    ][::core::mem::offset_of!(dsa_kernel_info, name) - 16usize];
    [
        "Offset of field: dsa_kernel_info::family",
    ][::core::mem::offset_of!(dsa_kernel_info, family) - 80usize];
    [
        "Offset of field: dsa_kernel_info::reason",
    ][::core::mem::offset_of!(dsa_kernel_info, reason) - 96usize];
};
unsafe extern "C" {
    pub fn dsa_status_name(status: dsa_status) -> *const ::core::ffi::c_char;
    pub fn dsa_last_error() -> *const ::core::ffi::c_char;
    pub fn dsa_version() -> u32;
    pub fn dsa_abi_version() -> u32;
    pub fn dsa_ctx_create(
        options: *const dsa_ctx_options,
        out: *mut *mut dsa_ctx,
    ) -> dsa_status;
    pub fn dsa_ctx_destroy(ctx: *mut dsa_ctx);
    pub fn dsa_ctx_describe(
        ctx: *const dsa_ctx,
        text: *mut ::core::ffi::c_char,
        capacity: u64,
        needed: *mut u64,
    ) -> dsa_status;
    pub fn dsa_indexer(
        ctx: *mut dsa_ctx,
        desc: *const dsa_indexer_desc,
        exec: *const dsa_exec,
    ) -> dsa_status;
    pub fn dsa_topk(
        ctx: *mut dsa_ctx,
        desc: *const dsa_topk_desc,
        exec: *const dsa_exec,
    ) -> dsa_status;
    pub fn dsa_indexer_topk(
        ctx: *mut dsa_ctx,
        desc: *const dsa_indexer_topk_desc,
        exec: *const dsa_exec,
    ) -> dsa_status;
    pub fn dsa_sparse_attn(
        ctx: *mut dsa_ctx,
        desc: *const dsa_sparse_attn_desc,
        exec: *const dsa_exec,
    ) -> dsa_status;
    pub fn dsa_merge_lse(
        ctx: *mut dsa_ctx,
        desc: *const dsa_merge_lse_desc,
        exec: *const dsa_exec,
    ) -> dsa_status;
    pub fn dsa_forward(
        ctx: *mut dsa_ctx,
        desc: *const dsa_forward_desc,
        exec: *const dsa_exec,
    ) -> dsa_status;
    pub fn dsa_tune(ctx: *mut dsa_ctx, options: *const dsa_tune_options) -> dsa_status;
    pub fn dsa_supports(
        ctx: *mut dsa_ctx,
        desc: *const ::core::ffi::c_void,
    ) -> dsa_status;
    pub fn dsa_workspace_size(
        ctx: *mut dsa_ctx,
        desc: *const ::core::ffi::c_void,
        bytes: *mut u64,
    ) -> dsa_status;
    pub fn dsa_plan_create(
        ctx: *mut dsa_ctx,
        desc: *const ::core::ffi::c_void,
        out: *mut *mut dsa_plan,
    ) -> dsa_status;
    pub fn dsa_plan_destroy(plan: *mut dsa_plan);
    pub fn dsa_plan_kernel(plan: *const dsa_plan) -> *const ::core::ffi::c_char;
    pub fn dsa_plan_refused(plan: *const dsa_plan, i: i32) -> *const ::core::ffi::c_char;
    pub fn dsa_kernel_get(
        ctx: *mut dsa_ctx,
        i: i32,
        info: *mut dsa_kernel_info,
    ) -> dsa_status;
}
