#include "shim.h"

#include <stdlib.h>
#include <string.h>

static char *error_text(dsa_status status) {
  return status == DSA_OK ? NULL : strdup(dsa_last_error());
}

static dsa_status run(dsa_ctx *ctx, const void *desc, const dsa_exec *exec) {
  switch (((const dsa_topk_desc *)desc)->kind) {
    case DSA_OP_INDEXER:
      return dsa_indexer(ctx, desc, exec);
    case DSA_OP_TOPK:
      return dsa_topk(ctx, desc, exec);
    case DSA_OP_INDEXER_TOPK:
      return dsa_indexer_topk(ctx, desc, exec);
    case DSA_OP_SPARSE_ATTN:
      return dsa_sparse_attn(ctx, desc, exec);
    default:
      return dsa_merge_lse(ctx, desc, exec);
  }
}

static libdsa_go_answer call(int action, dsa_ctx *ctx, const unsigned char *desc, uintptr_t stream,
                             unsigned char *workspace, uint64_t workspace_size,
                             const dsa_plan *plan) {
  libdsa_go_answer answer = {DSA_OK, NULL, 0, NULL};
  switch (action) {
    case LIBDSA_GO_RUN: {
      dsa_exec exec;
      memset(&exec, 0, sizeof exec);
      exec.struct_size = sizeof exec;
      exec.stream = (void *)stream;
      exec.workspace = workspace;
      exec.workspace_size = workspace_size;
      exec.plan = plan;
      answer.status = run(ctx, desc, &exec);
      break;
    }
    case LIBDSA_GO_SUPPORTS:
      answer.status = dsa_supports(ctx, desc);
      break;
    case LIBDSA_GO_WORKSPACE_SIZE:
      answer.status = dsa_workspace_size(ctx, desc, &answer.bytes);
      break;
    case LIBDSA_GO_PLAN:
      answer.status = dsa_plan_create(ctx, desc, &answer.plan);
      break;
  }
  answer.text = error_text(answer.status);
  return answer;
}

libdsa_go_answer libdsa_go_call_few(int action, dsa_ctx *ctx, const unsigned char *desc,
                                    uintptr_t stream, unsigned char *workspace,
                                    uint64_t workspace_size, const dsa_plan *plan,
                                    const unsigned char *p0, const unsigned char *p1,
                                    const unsigned char *p2, const unsigned char *p3,
                                    const unsigned char *p4, const unsigned char *p5,
                                    const unsigned char *p6, const unsigned char *p7) {
  return call(action, ctx, desc, stream, workspace, workspace_size, plan);
}

libdsa_go_answer libdsa_go_call_many(
    int action, dsa_ctx *ctx, const unsigned char *desc, uintptr_t stream, unsigned char *workspace,
    uint64_t workspace_size, const dsa_plan *plan, const unsigned char *p0, const unsigned char *p1,
    const unsigned char *p2, const unsigned char *p3, const unsigned char *p4,
    const unsigned char *p5, const unsigned char *p6, const unsigned char *p7,
    const unsigned char *p8, const unsigned char *p9, const unsigned char *p10,
    const unsigned char *p11, const unsigned char *p12, const unsigned char *p13,
    const unsigned char *p14, const unsigned char *p15, const unsigned char *p16,
    const unsigned char *p17, const unsigned char *p18, const unsigned char *p19,
    const unsigned char *p20, const unsigned char *p21, const unsigned char *p22,
    const unsigned char *p23, const unsigned char *p24, const unsigned char *p25,
    const unsigned char *p26, const unsigned char *p27, const unsigned char *p28,
    const unsigned char *p29, const unsigned char *p30, const unsigned char *p31,
    const unsigned char *p32, const unsigned char *p33) {
  return call(action, ctx, desc, stream, workspace, workspace_size, plan);
}

libdsa_go_context libdsa_go_ctx_create(uint32_t flags, int32_t device, int32_t device_id,
                                       int32_t num_threads, int32_t numa_node,
                                       const uint64_t *cpu_mask, uint64_t cpu_mask_words,
                                       const char *module_path) {
  libdsa_go_context made = {DSA_OK, NULL, NULL};
  dsa_ctx_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.flags = flags;
  options.device = device;
  options.device_id = device_id;
  options.num_threads = num_threads;
  options.numa_node = numa_node;
  options.cpu_mask = cpu_mask;
  options.cpu_mask_words = cpu_mask_words;
  options.module_path = module_path;
  made.status = dsa_ctx_create(&options, &made.ctx);
  made.text = error_text(made.status);
  return made;
}
