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

static libdsa_go_answer call(int action, dsa_ctx *ctx, const unsigned char *desc, void *stream,
                             void *workspace, uint64_t workspace_size, const dsa_plan *plan) {
  libdsa_go_answer answer = {DSA_OK, NULL, 0, NULL};
  switch (action) {
    case LIBDSA_GO_RUN: {
      dsa_exec exec;
      memset(&exec, 0, sizeof exec);
      exec.struct_size = sizeof exec;
      exec.stream = stream;
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
                                    void *stream, void *workspace, uint64_t workspace_size,
                                    const dsa_plan *plan, const void *p0, const void *p1,
                                    const void *p2, const void *p3, const void *p4, const void *p5,
                                    const void *p6, const void *p7) {
  return call(action, ctx, desc, stream, workspace, workspace_size, plan);
}

libdsa_go_answer libdsa_go_call_many(
    int action, dsa_ctx *ctx, const unsigned char *desc, void *stream, void *workspace,
    uint64_t workspace_size, const dsa_plan *plan, const void *p0, const void *p1, const void *p2,
    const void *p3, const void *p4, const void *p5, const void *p6, const void *p7, const void *p8,
    const void *p9, const void *p10, const void *p11, const void *p12, const void *p13,
    const void *p14, const void *p15, const void *p16, const void *p17, const void *p18,
    const void *p19, const void *p20, const void *p21, const void *p22, const void *p23,
    const void *p24, const void *p25, const void *p26, const void *p27, const void *p28,
    const void *p29, const void *p30, const void *p31, const void *p32, const void *p33) {
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
