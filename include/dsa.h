/* libdsa: DeepSeek Sparse Attention (DSA) behind one C interface.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * DSA (DeepSeek-V3.2, DeepSeek-V4, GLM-5, ...) makes long contexts affordable in three steps:
 *
 *   1. a small *lightning indexer* scores all earlier keys of every query,
 *          I[t,s] = sum_h w[t,h] * relu(q[t,h,:] . keys[s,:])                        dsa_indexer
 *   2. an exact *top-k* keeps k of them (256 to 2048)                                dsa_topk
 *      (1 and 2 in one call, without the score matrix in memory)                     dsa_indexer_topk
 *   3. attention runs over those keys alone                                          dsa_sparse_attn
 *      (all three in one call, on the GPU, the CPU, or both)                         dsa_forward
 *
 * This header is the manual. It is plain C99 and C++; no other header of the library is needed.
 *
 * A first program: the 2 largest of each row
 * -----------------------------------------
 *     #include <dsa.h>
 *     #include <stdio.h>
 *
 *     int main(void) {
 *       float scores[2][4] = {{1, 9, 3, 9}, {-2, -1, -4, -3}};
 *       int32_t indices[2][2];
 *       dsa_ctx *ctx;
 *       dsa_topk_desc d;
 *
 *       if (dsa_ctx_create(NULL, &ctx) != DSA_OK) { puts(dsa_last_error()); return 1; }
 *       d = dsa_topk_desc_init();
 *       d.scores = dsa_tensor_2d(scores, DSA_F32, 2, 4);
 *       d.k = 2;
 *       d.indices = dsa_tensor_2d(indices, DSA_I32, 2, 2);
 *       if (dsa_topk(ctx, &d, NULL) != DSA_OK) { puts(dsa_last_error()); return 1; }
 *       printf("%d %d, %d %d\n", indices[0][0], indices[0][1], indices[1][0], indices[1][1]);
 *       dsa_ctx_destroy(ctx);                                     // prints 1 3, 0 1
 *       return 0;
 *     }
 *
 * Contents:  1 status   2 tensors   3 context   4 exec: stream, workspace, threads
 *            5 fields that all operations share   6 indexer   7 top-k   8 indexer + top-k
 *            9 sparse attention   10 merge   11 forward and its routes   12 asking before running
 *
 * Letters: T query rows, S keys (< 2^31), B requests, H heads, Hi indexer heads, D head dim
 * (of a key), Dv value dim, k keys selected per query. Shapes are written in brackets, slowest axis
 * first. Sizes named `bytes` or `size` are bytes; extents and strides are elements.
 */
#ifndef DSA_H
#define DSA_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(DSA_BUILDING_LIBRARY) && (defined(__GNUC__) || defined(__clang__))
#define DSA_API __attribute__((visibility("default")))
#else
#define DSA_API
#endif

/* Version of this header. The library's own is dsa_version(). */
#define DSA_VERSION_MAJOR 0
#define DSA_VERSION_MINOR 1
#define DSA_VERSION_PATCH 0
#define DSA_VERSION (DSA_VERSION_MAJOR * 10000 + DSA_VERSION_MINOR * 100 + DSA_VERSION_PATCH)

/* Number of the binary interface, part of the SONAME (libdsa.so.1). docs/abi.md says what may
 * change under one number and what may not. */
#define DSA_ABI_VERSION 1

/* ---------------------------------------------------------------------------------------------
 * 1  Status
 * ---------------------------------------------------------------------------------------------
 * Every function that can fail returns a dsa_status: 0 or a negative error. Values are pinned. On
 * an error nothing was written to any output and nothing was enqueued on any stream. */
typedef int32_t dsa_status;
enum {
  DSA_OK = 0,
  DSA_ERROR_INVALID = -1,     /* a field is out of range, or two fields disagree */
  DSA_ERROR_UNSUPPORTED = -2, /* valid, but no kernel does it on this device (yet) */
  DSA_ERROR_NO_MEMORY = -3,   /* host or device memory could not be had */
  DSA_ERROR_WORKSPACE = -4,   /* the given workspace is too small or not 256-byte aligned */
  DSA_ERROR_NO_BACKEND = -5,  /* no CUDA module, driver or device; the text lists what was tried */
  DSA_ERROR_CAPTURE = -6,     /* not possible while the stream is being captured */
  DSA_ERROR_DEVICE = -7,      /* the device's runtime reported an error */
  DSA_ERROR_STRUCT_SIZE = -8, /* struct_size is too small, or the caller's newer tail is not zero */
  DSA_ERROR_INTERNAL = -9     /* a defect of the library */
};

/* "DSA_ERROR_INVALID" for -1; "unknown status" for a value outside the list. Never NULL. */
DSA_API const char *dsa_status_name(dsa_status status);

/* The text of this thread's last error, e.g. "topk.indices.shape[1] is 512, k is 2048". It names the
 * field and the numbers. Valid until this thread's next call that fails; "" when none has. */
DSA_API const char *dsa_last_error(void);

/* DSA_VERSION and DSA_ABI_VERSION of the library that is loaded. */
DSA_API uint32_t dsa_version(void);
DSA_API uint32_t dsa_abi_version(void);

/* ---------------------------------------------------------------------------------------------
 * 2  Tensors
 * ---------------------------------------------------------------------------------------------
 * A dsa_tensor is a borrowed view; the library never frees or keeps it. CPU tensors must live until
 * the call returns, device tensors until the stream has passed the call.
 *
 * Strides are in elements and may be anything: zero (a broadcast input), larger than dense, in any
 * order (a head-major cache is passed as it lies). Outputs must not overlap themselves or an input.
 * `ndim == 0` means "not given"; all optional tensors default to it. An extent of 0 is valid: the
 * operation has nothing to do there, and `data` may be NULL. */
enum {          /* dtype */
  DSA_F32 = 1,  /* IEEE binary32 */
  DSA_F16 = 2,  /* IEEE binary16 */
  DSA_BF16 = 3, /* bfloat16 */
  DSA_F8_E4M3FN = 4, /* FP8: 4 exponent bits, 3 mantissa bits, no infinity, NaN 0x7f and 0xff */
  DSA_U8 = 5,        /* bytes: masks, packed caches */
  DSA_I32 = 6,
  DSA_I64 = 7,       /* reserved: answered with DSA_ERROR_UNSUPPORTED */
  DSA_GGML_Q8_0 = 8, /* reserved */
  DSA_MXFP4 = 9,     /* reserved */
  DSA_NVFP4 = 10     /* reserved */
};

enum {                  /* device; the numbers are DLPack's */
  DSA_DEVICE_CPU = 1,   /* 0 is read as this too */
  DSA_DEVICE_CUDA = 2,
  DSA_DEVICE_CUDA_HOST = 3 /* pinned host memory: usable by CPU operations */
};

/* 128 bytes, frozen. */
typedef struct dsa_tensor {
  void *data;
  int64_t shape[5];
  int64_t stride[5];    /* elements */
  int32_t ndim;         /* 0: not given; at most 5 */
  int32_t dtype;        /* DSA_F32 ... */
  int32_t device;       /* DSA_DEVICE_...; 0: CPU */
  int32_t device_id;
  uint64_t reserved[3]; /* zero */
} dsa_tensor;

/* Dense CPU views. `shape` has ndim entries. */
static inline dsa_tensor dsa_tensor_make(void *data, int32_t dtype, int32_t ndim,
                                         const int64_t *shape) {
  dsa_tensor t;
  int32_t i;
  int64_t step = 1;
  memset(&t, 0, sizeof t);
  t.data = data;
  t.dtype = dtype;
  t.device = DSA_DEVICE_CPU;
  t.ndim = ndim;
  for (i = ndim - 1; i >= 0; --i) {
    t.shape[i] = shape[i];
    t.stride[i] = step;
    step *= shape[i];
  }
  return t;
}
static inline dsa_tensor dsa_tensor_1d(void *data, int32_t dtype, int64_t n0) {
  return dsa_tensor_make(data, dtype, 1, &n0);
}
static inline dsa_tensor dsa_tensor_2d(void *data, int32_t dtype, int64_t n0, int64_t n1) {
  int64_t shape[2];
  shape[0] = n0, shape[1] = n1;
  return dsa_tensor_make(data, dtype, 2, shape);
}
static inline dsa_tensor dsa_tensor_3d(void *data, int32_t dtype, int64_t n0, int64_t n1,
                                       int64_t n2) {
  int64_t shape[3];
  shape[0] = n0, shape[1] = n1, shape[2] = n2;
  return dsa_tensor_make(data, dtype, 3, shape);
}
static inline dsa_tensor dsa_tensor_4d(void *data, int32_t dtype, int64_t n0, int64_t n1,
                                       int64_t n2, int64_t n3) {
  int64_t shape[4];
  shape[0] = n0, shape[1] = n1, shape[2] = n2, shape[3] = n3;
  return dsa_tensor_make(data, dtype, 4, shape);
}

/* ---------------------------------------------------------------------------------------------
 * 3  Context
 * ---------------------------------------------------------------------------------------------
 * A context is the CPU plus at most one CUDA device. It only saves work (threads, kernels that are
 * loaded, scratch memory); it never changes results. It may be used by any number of threads at
 * once. Creating one reads the environment, once:
 *   DSA_LOG          comma list of dispatch, context, stages, stages_alone: what to report through
 *                    the log (else stderr). dispatch: the kernel or route of every call; stages: what
 *                    a hybrid call of dsa_forward did when, a line a chunk and stage; stages_alone:
 *                    the same, every stage waiting for the one before it
 *   DSA_CPU_ISA      scalar | avx2 | avx512 | amx: use no tier above this one
 *   DSA_KERNEL       a glob over kernel names ("cpu.*.avx2"): use no other kernels
 *   DSA_NUM_THREADS  CPU threads, as dsa_ctx_options.num_threads (which goes first)
 *   DSA_BACKEND_PATH where to look for libdsa-cuda.so, as dsa_ctx_options.module_path
 *   DSA_TUNE_FILE    the file of dsa_tune, as dsa_ctx_options.tune_path */
typedef struct dsa_ctx dsa_ctx;

/* Runs body(body_arg, i) for every i in [0, count), in any order, on any threads, and returns when
 * all are done. Running them one after the other is right too. `parallel_user` is dsa_exec's, or
 * the context's where that is NULL: an engine can swap its pool from call to call. */
typedef void (*dsa_parallel_body)(void *body_arg, int64_t index);
typedef void (*dsa_parallel_for)(void *parallel_user, int64_t count, dsa_parallel_body body,
                                 void *body_arg);

/* Memory for workspaces that the caller did not give. `allocate` returns NULL when out of memory;
 * `alignment` is a power of two up to 256. Both must be given, or neither, and be thread-safe. */
typedef void *(*dsa_allocate)(void *user, uint64_t bytes, uint64_t alignment);
typedef void (*dsa_release)(void *user, void *memory, uint64_t bytes);

/* level: 0 error, 1 warning, 2 information, 3 detail. The message has no line end. */
typedef void (*dsa_log)(void *user, int32_t level, const char *message);

enum {                          /* flags of dsa_ctx_options */
  DSA_CTX_DEVICE_OPTIONAL = 1 << 0, /* without a CUDA module, driver or device the context is made
                                       all the same, for the CPU; its CUDA kernels are listed as
                                       not usable, with the reason */
  DSA_CTX_HYBRID_READY = 1 << 1     /* with a CUDA device: what the hybrid routes of dsa_forward
                                       need (pinned memory, a stream) is made by dsa_ctx_create,
                                       not by the first call that takes one */
};

typedef struct dsa_ctx_options {
  uint32_t struct_size; /* sizeof(dsa_ctx_options) */
  uint32_t flags;       /* DSA_CTX_... */
  int32_t device;       /* 0 or DSA_DEVICE_CPU: CPU only; DSA_DEVICE_CUDA: and a CUDA device */
  int32_t device_id;    /* the CUDA device's number, as cudaSetDevice takes it */
  int32_t num_threads; /* 0: DSA_NUM_THREADS, else OMP_NUM_THREADS, else one per allowed physical
                          core of the NUMA node, within affinity mask and cgroup quota. With
                          parallel_for: how many bodies can run at once. More than the node has:
                          other nodes' cores, then hyperthreads */
  int32_t numa_node;   /* 0: the node nearest to the device, or to the caller; else node + 1 */
  const uint64_t *cpu_mask; /* bit i of word w: CPU 64 w + i may be used, on any node unless
                               numa_node says one. NULL: all of the caller's */
  uint64_t cpu_mask_words;
  dsa_parallel_for parallel_for; /* NULL: OpenMP threads (or serial where built without) */
  void *parallel_user;
  dsa_allocate allocate; /* NULL: the C library's */
  dsa_release release;
  void *allocator_user;
  dsa_log log; /* NULL: messages asked for by DSA_LOG go to stderr */
  void *log_user;
  const char *module_path; /* libdsa-cuda.so or its folder; NULL: searched (docs/abi.md) */
  uint64_t pinned_bytes;   /* most bytes of pinned host memory (hybrid routes); 0: 256 MiB */
  const char *tune_path;   /* file of dsa_tune; NULL: DSA_TUNE_FILE, else tune-<machine>.txt in the
                              folder libdsa of $XDG_CACHE_HOME, else of ~/.cache */
} dsa_ctx_options;

/* `options` may be NULL: CPU only, threads from the topology. */
DSA_API dsa_status dsa_ctx_create(const dsa_ctx_options *options, dsa_ctx **out);

/* NULL is allowed. No call on the context may be running. */
DSA_API void dsa_ctx_destroy(dsa_ctx *ctx);

/* What was found and chosen (build, ISA tiers and why, topology, threads, kernels), as JSON. Writes
 * at most `capacity` bytes including the final zero, and always a zero when capacity > 0; `needed`
 * (optional) gets the bytes that all of it takes. Size query: text NULL, capacity 0. */
DSA_API dsa_status dsa_ctx_describe(const dsa_ctx *ctx, char *text, uint64_t capacity,
                                    uint64_t *needed);

/* ---------------------------------------------------------------------------------------------
 * 4  Exec: stream, workspace, threads of one call
 * ---------------------------------------------------------------------------------------------
 * Operations take `const dsa_exec *exec`; NULL is all zero.
 *
 * CPU operations (all tensors on the CPU) are finished on return. CUDA operations are enqueued on
 * `stream` and return. The descriptor may die at return.
 *
 * Workspace: scratch memory of dsa_workspace_size() bytes, 256-byte aligned, on the device of the
 * operation, content arbitrary, used by one call at a time. With it the call allocates nothing and
 * can be captured in a CUDA graph. NULL: the context lends one (CPU: thread-safe; CUDA:
 * stream-ordered; inside a capture DSA_ERROR_CAPTURE when more than 0 bytes are needed). */
typedef struct dsa_plan dsa_plan;
typedef struct dsa_exec {
  uint32_t struct_size; /* sizeof(dsa_exec) */
  uint32_t flags;       /* none defined: 0 */
  void *stream;         /* cudaStream_t; NULL: the legacy default stream. NULL for CPU tensors */
  void *workspace;
  uint64_t workspace_size; /* bytes */
  const dsa_plan *plan;    /* optional: made from a descriptor of the same shapes */
  void *parallel_user;     /* handed to the context's parallel_for; NULL: the context's */
} dsa_exec;

/* ---------------------------------------------------------------------------------------------
 * 5  Fields that all operations share
 * ---------------------------------------------------------------------------------------------
 * One descriptor struct an operation. `struct_size` and `kind` come first (the *_init functions set
 * them and zero the rest). Zero is every field's default, except `k` and `scale`, where it is an
 * error. A larger struct of a newer caller is accepted while its unknown tail is zero. Unknown
 * flags are an error.
 *
 * Query rows. Any of q, w, scores, mask, indices, out, lse, ... may be [T, ...] or, with one axis
 * more, [B, T/B, ...]; the two leading axes count as one axis T. (Any strides: a [S, B, ...]
 * training layout is passed as it lies, with row_request[t] = t % B.)
 *
 * Requests. `batch` B is the number of requests; 0: taken from the extent of block_table, of
 * keys/kv in DSA_LAYOUT_BATCH, or of seq_lens, else 1. Row t belongs to request
 *   row_request[t]   i32 [T], clamped into [0, B)
 *   t / (T/B)        when row_request is not given (then B must divide T)
 *
 * Visible keys [begin, end) of row t, in exactly one of these ways:
 *   row_end [T], row_begin [T]      begin absent: 0
 *   seq_lens [B]                    end = seq_lens[r] - n + 1 + t % n, n = next_n (0: T/B)
 *   DSA_CAUSAL                      end = offset + t' + 1, t' = row within its request
 *                                   (needs row_request absent)
 *   none of them                    all keys
 * `ratio` g (0: 1) divides (floor) the ends given by seq_lens and causal: keys that stand for g
 * tokens (DeepSeek-V4). Then, in addition, `mask` [T, columns] (or [B, T/B, columns]; any strides,
 * 0 broadcasts) hides single keys: u8 0 hides; f32, f16, bf16: -inf and the type's lowest finite
 * value hide, all else shows, nothing is added to any score. Column j of the mask is column j of
 * the scores (below); columns past its extent are hidden.
 * `max_keys` (host, 0: none): no row has more visible keys; kernels and workspace are chosen for
 * it; a row that has more keeps its first max_keys.
 *
 * Integers in tensors (row_request, row_begin, row_end, seq_lens, block_table, indices, slots,
 * counts, ...) are clamped or skipped, whatever their value; none causes an access out of bounds.
 *
 * Keys (index keys; KV of attention) lie in one of three layouts:
 *   DSA_LAYOUT_ROWS   [S, ...]                    one axis; positions count along it
 *   DSA_LAYOUT_PAGES  [pages, page_size, ...]     position s of request r is row s % page_size of
 *                                                 page block_table[r][s / page_size]
 *   DSA_LAYOUT_BATCH  [B, S, ...]                 request r owns slice r
 * In the last two, positions count inside the request. block_table is i32 [B, max_pages]; an entry
 * outside the cache makes its keys invisible. Any page_size from 1 on (1: cells lie anywhere).
 *
 * Columns. Column j of a score row is key j; with DSA_COLUMNS_FROM_BEGIN it is key begin[t] + j
 * (a packed batch then needs T x longest row). Keys past the last column are not visible.
 *
 * index_base [T] i32 (optional): key s of row t is written to indices and cut_index, and read from
 * selections, hints and cuts, as s - begin[t] + index_base[t], in 32-bit wrap-around arithmetic.
 * Not given: as s. */
enum { /* kind */
  DSA_OP_INDEXER = 1,
  DSA_OP_TOPK = 2,
  DSA_OP_INDEXER_TOPK = 3,
  DSA_OP_SPARSE_ATTN = 4,
  DSA_OP_MERGE_LSE = 5,
  DSA_OP_FORWARD = 6
};

enum { /* key layout */
  DSA_LAYOUT_ROWS = 0,
  DSA_LAYOUT_PAGES = 1,
  DSA_LAYOUT_BATCH = 2
};

/* Packed caches are u8 tensors with strides in bytes. */
enum {                       /* key format */
  DSA_FORMAT_PLAIN = 0,      /* the tensor's own dtype; optional separate scales */
  DSA_FORMAT_KEY_PAGE_132 = 1, /* index keys, DSA_LAYOUT_PAGES, u8 [pages, bytes]: a page holds
                                  P x Di e4m3fn values, then P f32 scales (P = page_size, bytes >=
                                  P (Di + 4)); Di is the query's (vLLM, SGLang, DeepGEMM) */
  DSA_FORMAT_KV_FP8_656 = 2, /* KV of 576 = 512 + 64: u8 [rows, 656], [pages, page_size, 656] or
                                [pages, bytes], [B, S, 656]. Per token: bytes 0-511 e4m3fn, 512-527
                                four f32 scales of 128 values each (any value), 528-655 64 bf16
                                (FlashMLA, DeepSeek-V3.2) */
  DSA_FORMAT_KV_FP8_584 = 3, /* reserved: 448 e4m3fn + 64 bf16 a token, after the page's tokens
                                7 ue8m0 + 1 pad a token (DeepSeek-V4) */
  DSA_FORMAT_KV_FP8_528 = 4  /* reserved: 528-byte pages */
};

enum {                            /* flags, 64 bits; each operation lists those it takes */
  DSA_CAUSAL = 1 << 0,            /* visible keys: causal, see above */
  DSA_COLUMNS_FROM_BEGIN = 1 << 1, /* column j is key begin[t] + j */
  DSA_KEEP_INVISIBLE = 1 << 2,    /* indexer: leave columns that are not visible untouched */
  DSA_NO_RELU = 1 << 3,           /* indexer: the products enter the sum as they are */
  DSA_SELECT_NEG_INF = 1 << 4,    /* -inf is an ordinary number that can be selected */
  DSA_BLOCK_TAIL = 1 << 5,        /* attention: read the keys after the last complete block */
  DSA_LSE_BASE2 = 1 << 6,         /* lse is log2; partial_lse of a merge too */
  DSA_LSE_WITH_SINK = 1 << 7,     /* the sink enters the lse too */
  DSA_LSE_EMPTY_POS_INF = 1 << 8  /* lse of an empty row is +inf (and read so by a merge) */
};

/* ---------------------------------------------------------------------------------------------
 * 6  dsa_indexer: scores of all keys
 * ---------------------------------------------------------------------------------------------
 *   scores[t,s] = k_scale[s] * sum_h w[t,h] * relu(q_scale[t,h] * q[t,h,:] . keys[s,:])
 *
 * for the visible keys of each row; the other columns get -inf. (DeepSeek-V3.2 lightning indexer;
 * a model's own scales, as Hi^-0.5 Di^-0.5, are folded into w by the caller.) relu(NaN) is NaN. w
 * may be negative. Heads are summed in the order 0 .. Hi-1, in f32.
 *
 * The bits of a score depend only on q[t], w[t], keys[s], the scales, Hi, Di, the dtypes and the
 * kernel family; not on T, S, ranges, paging, chunking, threads or on being fused with the top-k.
 * On the CPU, tiers up to avx512 compute products of f32 (inputs converted exactly), one fused
 * multiply-add chain over Di per key (the scalar tier rounds products too); the amx tier takes
 * bf16 q and keys and lets the tile instruction sum pairs (denormals flushed). docs/numerics.md
 * has the bounds.
 *
 * Flags: DSA_CAUSAL, DSA_COLUMNS_FROM_BEGIN, DSA_KEEP_INVISIBLE, DSA_NO_RELU. Since 0.1. */
typedef struct dsa_indexer_desc {
  uint32_t struct_size;
  uint32_t kind; /* DSA_OP_INDEXER */
  uint64_t flags;
  int64_t batch;    /* B; 0: taken from the tensors */
  int64_t offset;   /* DSA_CAUSAL */
  int64_t max_keys; /* 0: none */
  int32_t next_n;   /* seq_lens: rows a request; 0: T/B */
  int32_t ratio;    /* 0: 1 */
  int32_t key_layout; /* DSA_LAYOUT_... of keys */
  int32_t key_format; /* DSA_FORMAT_... of keys */
  int32_t page_size;  /* of a packed [pages, bytes] cache; else 0 or the extent */
  int32_t shard_rank; /* reserved, with the two below: context-parallel shard, local key s is */
  int32_t shard_ranks; /*   global (s / c * ranks + rank) * c + s % c, c = shard_interleave */
  int32_t shard_interleave;

  dsa_tensor q;       /* [T, Hi, Di]  f32 f16 bf16 e4m3fn */
  dsa_tensor keys;    /* [S, Di] | [pages, page_size, Di] | [B, S, Di] | packed */
  dsa_tensor w;       /* [T, Hi]  f32 f16 bf16; not given: 1 */
  dsa_tensor q_scale; /* [1] or [T, Hi]  f32; not given: 1 */
  dsa_tensor k_scale; /* [S] | [pages, page_size] | [B, S], as keys; or [1]  f32; not given: 1 */
  dsa_tensor block_table; /* [B, max_pages]  i32; needed with DSA_LAYOUT_PAGES */
  dsa_tensor row_request; /* [T]  i32 */
  dsa_tensor row_begin;   /* [T]  i32 */
  dsa_tensor row_end;     /* [T]  i32 */
  dsa_tensor seq_lens;    /* [B]  i32 */
  dsa_tensor mask;        /* [T, columns]  u8 f32 f16 bf16 */

  dsa_tensor scores; /* out: [T, columns]  f32 bf16 */
} dsa_indexer_desc;

DSA_API dsa_status dsa_indexer(dsa_ctx *ctx, const dsa_indexer_desc *desc, const dsa_exec *exec);

/* ---------------------------------------------------------------------------------------------
 * 7  dsa_topk: the k largest of each row, exactly
 * ---------------------------------------------------------------------------------------------
 * Selects the k visible keys with the largest scores; of equal scores the smaller index wins; -0
 * equals +0; NaN is never selected, nor is -inf (engines mask with it) unless DSA_SELECT_NEG_INF.
 * +inf is an ordinary largest number: forced keys.
 *   counts[t] = min(k, selectable keys of row t)
 * k may exceed the row's length. Given the same scores the result has the same bits on every run,
 * device, tier, thread count, batch split and stride. Any of the outputs may be absent, one must be
 * there. Outputs may be wider than k; what lies past counts[t] is filled: -1, values -inf.
 *
 *   indices     ascending by index (order: see below); index_base applies
 *   slots       the same keys through a table: slot_table[r][s / P] * slot_page_stride + s % P with
 *               P = slot_page_size. slot_table not given: block_table (whose page size P must then
 *               be given as slot_page_size, or as page_size); slot_page_stride 0: P. A table entry
 *               is copied as it is; past the table's end the slot is -1
 *   values      the scores' own bits, aligned with indices
 *   counts      see above
 *   cut_score, cut_index   the last element selected in the order (score descending, index
 *               ascending); an empty row: +inf, -1. So a key is selected when it is visible and
 *               score > cut_score or (score == cut_score and index <= cut_index): eight bytes a row
 *               say all that k indices say. When only these (and counts) are asked for, no indices
 *               are produced inside either. Not available with DSA_TIES_ANY
 *
 * Hints never change the result, only time: hint_indices is an earlier selection (as written in
 * indices; garbage, stale and repeated entries are harmless), hint_bound a score that the k-th
 * largest is believed to reach. A bound is used only when a count proves it. The GPU ignores them:
 * it samples each row, and that takes it about as long as such a count.
 *
 * Flags: DSA_CAUSAL, DSA_COLUMNS_FROM_BEGIN, DSA_SELECT_NEG_INF. Since 0.1. */
enum {                          /* order of indices, slots, values */
  DSA_ORDER_INDEX = 0,          /* ascending index */
  DSA_ORDER_SCORE = 1,          /* descending score, of equal ones ascending index */
  DSA_ORDER_ANY = 2             /* whatever is fastest */
};
enum {                 /* which of equal scores at the cut */
  DSA_TIES_SMALLER_INDEX = 0,
  DSA_TIES_ANY = 1     /* any of them; still exactly k, but not repeatable */
};

typedef struct dsa_topk_desc {
  uint32_t struct_size;
  uint32_t kind; /* DSA_OP_TOPK */
  uint64_t flags;
  int64_t batch;
  int64_t offset;
  int64_t max_keys;
  int32_t next_n;
  int32_t ratio;
  int32_t page_size; /* of block_table; needed only for slots */
  int32_t k;         /* >= 1 */
  int32_t order;     /* DSA_ORDER_... */
  int32_t ties;      /* DSA_TIES_... */
  int32_t slot_page_size;   /* 0: page_size */
  int32_t slot_page_stride; /* 0: slot_page_size */
  int32_t force_first;      /* reserved: always select the first n visible keys */
  int32_t force_last;       /* reserved: always select the last n visible keys */
  int32_t select_block;     /* reserved: select whole blocks of n keys by their maximum */
  int32_t shard_rank;       /* reserved, as in dsa_indexer_desc */
  int32_t shard_ranks;
  int32_t shard_interleave;

  dsa_tensor scores;      /* [T, columns]  f32 f16 bf16 */
  dsa_tensor block_table; /* [B, max_pages]  i32; only for slots */
  dsa_tensor row_request; /* [T]  i32 */
  dsa_tensor row_begin;   /* [T]  i32 */
  dsa_tensor row_end;     /* [T]  i32 */
  dsa_tensor seq_lens;    /* [B]  i32 */
  dsa_tensor mask;        /* [T, columns] */
  dsa_tensor index_base;  /* [T]  i32 */
  dsa_tensor slot_table;  /* [B, max_slot_pages]  i32 */
  dsa_tensor hint_indices; /* [T, any]  i32 */
  dsa_tensor hint_bound;   /* [T]  f32 */
  dsa_tensor candidates;       /* reserved: ids of the columns (merging top-k over ranks) */
  dsa_tensor candidate_blocks; /* reserved */

  dsa_tensor indices;   /* out: [T, >= k]  i32 */
  dsa_tensor slots;     /* out: [T, >= k]  i32 */
  dsa_tensor values;    /* out: [T, >= k]  dtype of scores */
  dsa_tensor counts;    /* out: [T]  i32 */
  dsa_tensor cut_score; /* out: [T]  f32 */
  dsa_tensor cut_index; /* out: [T]  i32 */
} dsa_topk_desc;

DSA_API dsa_status dsa_topk(dsa_ctx *ctx, const dsa_topk_desc *desc, const dsa_exec *exec);

/* ---------------------------------------------------------------------------------------------
 * 8  dsa_indexer_topk: both in one call
 * ---------------------------------------------------------------------------------------------
 * What dsa_indexer with f32 scores and then dsa_topk give, bit for bit, without the score matrix in
 * memory: at most 64 MiB of workspace whatever T and S. Fields as in the two. DSA_COLUMNS_FROM_BEGIN
 * says what the columns of the mask are. slot_table not given: block_table and the keys' page size.
 * Two differences under DSA_SELECT_NEG_INF, where the second of the two steps takes any column of
 * -inf for a key, and may select it; here neither is one:
 *   - a key that a bad block-table entry hides (or the mask, if only the first step gets it)
 *   - with DSA_COLUMNS_FROM_BEGIN, a column past the last key, begin[t] + j >= S, unless the row's
 *     visible range ends before it: dsa_topk does not know S
 *
 * Flags: DSA_CAUSAL, DSA_COLUMNS_FROM_BEGIN, DSA_NO_RELU, DSA_SELECT_NEG_INF. Since 0.1. */
typedef struct dsa_indexer_topk_desc {
  uint32_t struct_size;
  uint32_t kind; /* DSA_OP_INDEXER_TOPK */
  uint64_t flags;
  int64_t batch;
  int64_t offset;
  int64_t max_keys;
  int32_t next_n;
  int32_t ratio;
  int32_t key_layout;
  int32_t key_format;
  int32_t page_size;
  int32_t k; /* >= 1 */
  int32_t order;
  int32_t ties;
  int32_t slot_page_size;
  int32_t slot_page_stride;
  int32_t force_first;  /* reserved */
  int32_t force_last;   /* reserved */
  int32_t select_block; /* reserved */
  int32_t shard_rank;   /* reserved */
  int32_t shard_ranks;
  int32_t shard_interleave;

  dsa_tensor q;       /* [T, Hi, Di] */
  dsa_tensor keys;    /* as dsa_indexer_desc */
  dsa_tensor w;       /* [T, Hi] */
  dsa_tensor q_scale; /* [1] or [T, Hi] */
  dsa_tensor k_scale; /* as dsa_indexer_desc */
  dsa_tensor block_table; /* [B, max_pages] */
  dsa_tensor row_request; /* [T] */
  dsa_tensor row_begin;   /* [T] */
  dsa_tensor row_end;     /* [T] */
  dsa_tensor seq_lens;    /* [B] */
  dsa_tensor mask;        /* [T, columns] */
  dsa_tensor index_base;  /* [T] */
  dsa_tensor slot_table;  /* [B, max_slot_pages] */
  dsa_tensor hint_indices; /* [T, any] */
  dsa_tensor hint_bound;   /* [T] */
  dsa_tensor candidates;       /* reserved */
  dsa_tensor candidate_blocks; /* reserved: score only these blocks */

  dsa_tensor indices;   /* out: [T, >= k]  i32 */
  dsa_tensor slots;     /* out: [T, >= k]  i32 */
  dsa_tensor values;    /* out: [T, >= k]  f32 */
  dsa_tensor counts;    /* out: [T]  i32 */
  dsa_tensor cut_score; /* out: [T]  f32 */
  dsa_tensor cut_index; /* out: [T]  i32 */
} dsa_indexer_topk_desc;

DSA_API dsa_status dsa_indexer_topk(dsa_ctx *ctx, const dsa_indexer_topk_desc *desc,
                                    const dsa_exec *exec);

/* ---------------------------------------------------------------------------------------------
 * 9  dsa_sparse_attn: attention over selected keys
 * ---------------------------------------------------------------------------------------------
 *   z[t,h,j] = scale * q[t,h,:] . kv[i_j,:]         over the keys i_j that row t selects
 *   out[t,h,:] = sum_j exp(z[t,h,j]) v[i_j,:] / (sum_j exp(z[t,h,j]) + exp(sink[h]))
 *   lse[t,h] = log sum_j exp(z[t,h,j])              natural log, keys only (flags change it)
 *   max[t,h] = max_j z[t,h,j]
 *
 * Keys and values:
 *   MLA/MQA   kv [S, D]: one row serves all heads; V is its first Dv elements, Dv = out's last
 *             extent. v is not given
 *   K and V   kv [S, Hkv, D] and v [S, Hkv, Dv], same layout; head h reads KV head h / (H / Hkv);
 *             Hkv must divide H. (v may also go with kv [S, D]: [S, Dv], one KV head)
 *   two pieces   q [T, H, D1] and q2 [T, H, D2], kv [..., D1] and kv2 [..., D2] of the same layout:
 *             z is scale times the sum of both products, V lies in (or belongs to) the first
 *             (latent and rope kept apart: transformers, FlashInfer, FA3)
 *
 * Selection of row t (field `selection`):
 *   DSA_SELECTION_INDICES  indices [T, >= k]. Entry j is used when j < k, j < counts[t] (if given),
 *             and it is a key of the row's request that is visible (all of them, where no
 *             visibility is given); every other entry is skipped, whatever it holds. So top-k
 *             output with its -1 padding goes in as it is. Repeated keys count each time
 *   DSA_SELECTION_SLOTS    slots in `indices`: physical places as dsa_topk writes them. They carry
 *             no position: an entry is used when j < k, j < counts[t] and it lies in the cache.
 *             Page slot / slot_page_stride, row slot % slot_page_stride (skipped when >= P =
 *             slot_page_size; 0: the cache's page_size, 1 in DSA_LAYOUT_ROWS, where row
 *             page * P + row is read)
 *   DSA_SELECTION_CUT      scores [T, columns] with cut_score [T], cut_index [T] of dsa_topk: the
 *             keys that pass the cut, at most k of them, ascending
 *   DSA_SELECTION_ALL      all visible keys: dense attention; k must be 0
 * A key row that is not selected is never read; a NaN in it reaches no result.
 *
 * index_block g (0: 1), with DSA_SELECTION_INDICES: for g > 1 an index counts blocks, and entry i
 * (less index_base[t], if given) stands for the g keys from begin[t] + i g on, cut by visibility;
 * DSA_BLOCK_TAIL: the keys after the row's last complete block are always read, after the others,
 * and take no part in counts or k; an index of that incomplete block is skipped then (pooled
 * indexers: GLM-5.3-Flash, Qwen4 QSA).
 *
 * A second scope: kv_b (and v_b, kv2_b) is another cache with its own layout, table, selection and
 * counts; one softmax, lse and max run over both scopes, first scope first; the sink enters once
 * (DeepSeek-V4: compressed keys and the window). Positions count inside a scope. Its visible range
 * is [row_begin_b, row_end_b) (row_end_b absent: all), and DSA_SELECTION_ALL reads that range.
 *
 * Sink [H] f32, a logit that has no value: -inf no effect, +inf gives out = 0. A row that selects
 * nothing: out = 0, lse = max = -inf. Any of out, lse, max may be absent, one must be there.
 *
 * Sums are f32, P is not rounded (avx512 and below) or rounded to bf16 (amx). Entries are processed
 * in slot order in blocks of fixed size: the same inputs give the same bits on any thread count.
 *
 * Flags: DSA_CAUSAL, DSA_COLUMNS_FROM_BEGIN, DSA_SELECT_NEG_INF (cut), DSA_BLOCK_TAIL, DSA_LSE_*.
 * Since 0.1. */
enum { /* selection */
  DSA_SELECTION_INDICES = 0,
  DSA_SELECTION_SLOTS = 1,
  DSA_SELECTION_CUT = 2,
  DSA_SELECTION_ALL = 3
};

typedef struct dsa_sparse_attn_desc {
  uint32_t struct_size;
  uint32_t kind; /* DSA_OP_SPARSE_ATTN */
  uint64_t flags;
  int64_t batch;
  int64_t offset;
  int64_t max_keys;
  int32_t next_n;
  int32_t ratio;
  int32_t key_layout; /* of kv, kv2, v */
  int32_t key_format; /* of kv */
  int32_t page_size;
  int32_t selection; /* DSA_SELECTION_... */
  int32_t k;         /* >= 1: entries a row; 0 with DSA_SELECTION_ALL */
  int32_t index_block; /* 0: 1 */
  int32_t slot_page_size;
  int32_t slot_page_stride;
  float scale;     /* of the logits, not 0; e.g. 192^-0.5 * mscale^2 for DeepSeek-V3.2 */
  int32_t k_b;     /* second scope: as k */
  int32_t key_layout_b;
  int32_t key_format_b;
  int32_t page_size_b;
  int32_t selection_b; /* INDICES, SLOTS or ALL */
  int32_t slot_page_size_b;
  int32_t slot_page_stride_b;

  dsa_tensor q;   /* [T, H, D]  f32 f16 bf16 e4m3fn */
  dsa_tensor q2;  /* [T, H, D2] */
  dsa_tensor kv;  /* [S, D] or [S, Hkv, D]; or with leading [pages, page_size], [B, S] for [S] */
  dsa_tensor kv2; /* [S, D2] or [S, Hkv, D2], ... */
  dsa_tensor v;   /* [S, Dv] or [S, Hkv, Dv], ... */
  dsa_tensor kv_scale;    /* f32: [1] | one a key: [S], [pages, page_size], [B, S] | and groups:
                             [S, groups], ...: element d of kv is scaled by group d / (D / groups);
                             scales kv, and V where it is kv's first part; not kv2, not v */
  dsa_tensor v_scale;     /* f32, of v: as kv_scale */
  dsa_tensor q_scale;     /* [1] or [T, H]  f32: scales q (not q2) */
  dsa_tensor block_table; /* [B, max_pages]  i32 */
  dsa_tensor row_request; /* [T]  i32 */
  dsa_tensor row_begin;   /* [T]  i32 */
  dsa_tensor row_end;     /* [T]  i32 */
  dsa_tensor seq_lens;    /* [B]  i32 */
  dsa_tensor mask;        /* [T, columns] */
  dsa_tensor index_base;  /* [T]  i32 */
  dsa_tensor indices;     /* [T, >= k]  i32: positions, blocks or slots; reserved: [T, Hkv, >= k] */
  dsa_tensor counts;      /* [T]  i32 */
  dsa_tensor scores;      /* [T, columns]  f32 f16 bf16: DSA_SELECTION_CUT */
  dsa_tensor cut_score;   /* [T]  f32 */
  dsa_tensor cut_index;   /* [T]  i32 */
  dsa_tensor sink;        /* [H]  f32 */

  dsa_tensor kv_b; /* second scope */
  dsa_tensor kv2_b;
  dsa_tensor v_b;
  dsa_tensor kv_scale_b;
  dsa_tensor v_scale_b;
  dsa_tensor block_table_b;
  dsa_tensor row_begin_b;
  dsa_tensor row_end_b;
  dsa_tensor indices_b;
  dsa_tensor counts_b;

  dsa_tensor out; /* out: [T, H, Dv]  f32 f16 bf16 */
  dsa_tensor lse; /* out: [T, H]  f32 */
  dsa_tensor max; /* out: [T, H]  f32 */
} dsa_sparse_attn_desc;

DSA_API dsa_status dsa_sparse_attn(dsa_ctx *ctx, const dsa_sparse_attn_desc *desc,
                                   const dsa_exec *exec);

/* ---------------------------------------------------------------------------------------------
 * 10  dsa_merge_lse: partial attention results into one
 * ---------------------------------------------------------------------------------------------
 * Merges P partial outputs of the same queries over disjoint keys (chunks, devices, scopes):
 *   lse[t,h] = log sum_p exp(partial_lse[p,t,h])
 *   out[t,h,:] = sum_p exp(partial_lse[p,t,h]) partial_out[p,t,h,:] / (exp(lse[t,h]) + exp(sink[h]))
 *   max[t,h] = max_p partial_max[p,t,h]
 * in the order p = 0 .. P-1. The partial results must be without the sink: it is applied here,
 * once. A part with lse -inf (empty) does not count, whatever its out holds.
 *
 * Flags: DSA_LSE_BASE2, DSA_LSE_WITH_SINK, DSA_LSE_EMPTY_POS_INF. Since 0.1. */
typedef struct dsa_merge_lse_desc {
  uint32_t struct_size;
  uint32_t kind; /* DSA_OP_MERGE_LSE */
  uint64_t flags;
  dsa_tensor partial_out; /* [P, T, H, Dv]  f32 f16 bf16; given when out is, and only then */
  dsa_tensor partial_lse; /* [P, T, H]  f32 */
  dsa_tensor partial_max; /* [P, T, H]  f32; given when max is, and only then */
  dsa_tensor sink;        /* [H]  f32 */

  dsa_tensor out; /* out: [T, H, Dv]  f32 f16 bf16 */
  dsa_tensor lse; /* out: [T, H]  f32 */
  dsa_tensor max; /* out: [T, H]  f32 */
} dsa_merge_lse_desc;

DSA_API dsa_status dsa_merge_lse(dsa_ctx *ctx, const dsa_merge_lse_desc *desc,
                                 const dsa_exec *exec);

/* ---------------------------------------------------------------------------------------------
 * 11  dsa_forward: selection and attention in one call, by one of several routes
 * ---------------------------------------------------------------------------------------------
 * What dsa_indexer_topk with `select` and then dsa_sparse_attn with `attend` and the indices and
 * counts of the first give: queries, index keys and KV in, attention out. A layer that attends to
 * what its indexer selects is this one call, on the GPU, on the CPU, or on both.
 *
 * `select`'s outputs may all be absent: the selection then goes from one to the other in scratch
 * memory. Those that are given are filled too. In `attend`, selection is DSA_SELECTION_INDICES
 * (the default), indices, counts, scores, cut_score and cut_index are absent, and k is 0 or
 * select's. Each of the two has its own cache, requests and visible keys; both have the same query
 * rows. An index that `select` writes (index_base included) is read by `attend` as such.
 *
 * Routes. All select exactly; DSA_ROUTE_GPU and the hybrid ones have the same scores, so the same
 * bits of selection. DSA_ROUTE_CPU's scores round differently, and its selection may differ where
 * scores meet at the cut. Attention agrees within the output dtype's bound (docs/numerics.md).
 *   DSA_ROUTE_GPU     all of it on the GPU, enqueued on exec.stream
 *   DSA_ROUTE_CPU     all of it on the CPU, finished on return
 *   DSA_ROUTE_HYBRID  the GPU scores chunks of rows, their visible scores go to pinned host memory
 *             on a stream of the context's own, the context's CPU threads find each row's cut, the
 *             cuts (8 bytes a row) go back, and the GPU attends to the keys that pass. Chunks
 *             overlap. The call blocks its thread until the last cut is in, then returns with the
 *             rest enqueued on exec.stream. Calls of one context take turns. select.order may not be
 *             DSA_ORDER_SCORE; hints are not used. The pinned memory is made by the first such call
 *             (or DSA_CTX_HYBRID_READY), bounded by dsa_ctx_options.pinned_bytes, kept, and freed
 *             with the context
 *   DSA_ROUTE_HYBRID_PREFILTER  the same, but the GPU first finds a lower bound of each row's cut,
 *             proves it by a count, and ships only the scores above it. A row whose bound is not
 *             proved is shipped whole: the result is the same
 *   DSA_ROUTE_AUTO    the usable one with the least predicted time. It depends on extents, dtypes
 *             and host fields, gpu_busy, memory_limit and the context's tuning (dsa_tune), never on
 *             the load at the time: the same call takes the same route. DSA_LOG=dispatch prints
 *             every route's predicted time, or why it was refused
 * A route that was asked for and cannot take the call: DSA_ERROR_UNSUPPORTED with the reason, or,
 * for a hybrid one on a stream that is being captured, DSA_ERROR_CAPTURE (AUTO passes them over).
 *
 * Tensors lie on one side, in any host memory (pageable, pinned) or on the context's device. A route
 * that computes on the other side copies all of them there and the outputs back: such a call is
 * finished on return, takes its memory from the context, and cannot be captured.
 *
 * exec.workspace as everywhere: dsa_workspace_size of a forward descriptor, on the device of the
 * tensors (0 bytes where they are copied). dsa_plan_kernel answers "forward.gpu", "forward.cpu", "forward.hybrid" or
 * "forward.hybrid_prefilter", dsa_plan_refused the other routes.
 *
 * An error before anything was enqueued leaves all outputs untouched; one that the device reports
 * later leaves the stream usable, the outputs of rows done by then complete and others untouched.
 * Since 0.1. */
enum { /* route */
  DSA_ROUTE_AUTO = 0,
  DSA_ROUTE_GPU = 1,
  DSA_ROUTE_CPU = 2,
  DSA_ROUTE_HYBRID = 3,          /* GPU scores and attends, CPU selects */
  DSA_ROUTE_HYBRID_PREFILTER = 4 /* and the GPU ships only scores above a proven bound */
};

/* `select` and `attend` are read during the call only. */
typedef struct dsa_forward_desc {
  uint32_t struct_size;
  uint32_t kind; /* DSA_OP_FORWARD */
  uint64_t flags; /* none defined: 0 */
  int32_t route;  /* DSA_ROUTE_... */
  float gpu_busy; /* share of the GPU that other work takes, 0 .. 1: what `auto` reckons with */
  uint64_t memory_limit; /* bytes of device memory that the call may use; 0: no limit */
  const dsa_indexer_topk_desc *select;
  const dsa_sparse_attn_desc *attend;
} dsa_forward_desc;

DSA_API dsa_status dsa_forward(dsa_ctx *ctx, const dsa_forward_desc *desc, const dsa_exec *exec);

/* Measures this machine as the context sees it (its device, threads and CPU tier) for
 * DSA_ROUTE_AUTO, writes the constants to a file, and uses them in this context from then on.
 * Takes seconds, with GPU and threads to itself; calls on the context may not run meanwhile.
 * Contexts read the file when they are made; without one, or with one of another version, they
 * reckon with built-in constants. The file is text that people can read and edit, written beside
 * its place and then renamed. Nothing else in the library writes files. Since 0.1. */
typedef void (*dsa_tune_progress)(void *user, double done, const char *what); /* done: 0 .. 1 */

typedef struct dsa_tune_options {
  uint32_t struct_size; /* sizeof(dsa_tune_options) */
  uint32_t flags;       /* none defined: 0 */
  const char *path;     /* NULL: dsa_ctx_options.tune_path's rule */
  dsa_tune_progress progress; /* NULL: silent */
  void *progress_user;
} dsa_tune_options;

/* `options` may be NULL. */
DSA_API dsa_status dsa_tune(dsa_ctx *ctx, const dsa_tune_options *options);

/* ---------------------------------------------------------------------------------------------
 * 12  Asking before running
 * ---------------------------------------------------------------------------------------------
 * `desc` is any operation's descriptor; its kind says which. Tensor contents are never read, and
 * `data` may be NULL. */

/* DSA_OK when the call would run; else the status it would return, with dsa_last_error(). */
DSA_API dsa_status dsa_supports(dsa_ctx *ctx, const void *desc);

/* Bytes of workspace that the call needs. Depends on extents, dtypes and host fields only, and
 * never shrinks when an extent grows: ask once for the largest shape. */
DSA_API dsa_status dsa_workspace_size(dsa_ctx *ctx, const void *desc, uint64_t *bytes);

/* A plan is the choice of a kernel, made once for descriptors of one operation, dtypes, layout and
 * head dims; passed in dsa_exec.plan it saves the choice (and, on CUDA, loading). It refers to the
 * context, which must outlive it. */
DSA_API dsa_status dsa_plan_create(dsa_ctx *ctx, const void *desc, dsa_plan **out);
DSA_API void dsa_plan_destroy(dsa_plan *plan); /* NULL is allowed */
/* The kernel's name, "cpu.topk.avx512"; lives as long as the library is loaded. */
DSA_API const char *dsa_plan_kernel(const dsa_plan *plan);
/* The i-th candidate kernel that was refused, and why; NULL past the last. Lives with the plan. */
DSA_API const char *dsa_plan_refused(const dsa_plan *plan, int32_t i);

/* Kernels of this build, in order of preference within an operation. */
typedef struct dsa_kernel_info {
  uint32_t struct_size; /* set by the caller: sizeof(dsa_kernel_info) */
  int32_t operation;    /* DSA_OP_... */
  int32_t device;       /* DSA_DEVICE_... */
  int32_t usable;       /* 1: this machine and these settings can run it */
  char name[64];        /* "cpu.topk.avx512" */
  char family[16];      /* "avx512": the last part of the name */
  char reason[160];     /* why it is not usable; "" else */
} dsa_kernel_info;

/* The i-th kernel, i from 0; DSA_ERROR_INVALID past the last. */
DSA_API dsa_status dsa_kernel_get(dsa_ctx *ctx, int32_t i, dsa_kernel_info *info);

/* Descriptors with struct_size and kind set and all else zero. */
#define DSA_DEFINE_INIT(type, name, operation) \
  static inline type name(void) {              \
    type d;                                    \
    memset(&d, 0, sizeof d);                   \
    d.struct_size = (uint32_t)sizeof d;        \
    d.kind = (uint32_t)(operation);            \
    return d;                                  \
  }
DSA_DEFINE_INIT(dsa_indexer_desc, dsa_indexer_desc_init, DSA_OP_INDEXER)
DSA_DEFINE_INIT(dsa_topk_desc, dsa_topk_desc_init, DSA_OP_TOPK)
DSA_DEFINE_INIT(dsa_indexer_topk_desc, dsa_indexer_topk_desc_init, DSA_OP_INDEXER_TOPK)
DSA_DEFINE_INIT(dsa_sparse_attn_desc, dsa_sparse_attn_desc_init, DSA_OP_SPARSE_ATTN)
DSA_DEFINE_INIT(dsa_merge_lse_desc, dsa_merge_lse_desc_init, DSA_OP_MERGE_LSE)
DSA_DEFINE_INIT(dsa_forward_desc, dsa_forward_desc_init, DSA_OP_FORWARD)
#undef DSA_DEFINE_INIT

#ifdef __cplusplus
}
#endif
#endif /* DSA_H */
