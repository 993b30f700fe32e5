// One C function for all calls: a single step from Go to C and back, whatever happens.
#ifndef LIBDSA_GO_SHIM_H
#define LIBDSA_GO_SHIM_H

#include <dsa.h>

enum { LIBDSA_GO_RUN, LIBDSA_GO_SUPPORTS, LIBDSA_GO_WORKSPACE_SIZE, LIBDSA_GO_PLAN };

enum { LIBDSA_GO_FEW = 8, LIBDSA_GO_MANY = 34 };  // tensors; the most that an operation has

typedef struct {
  dsa_status status;
  char *text;  // of an error, to be freed; a goroutine's next call may run on another thread
  uint64_t bytes;
  dsa_plan *plan;
} libdsa_go_answer;

// p0, p1, ... are the data of the descriptor's tensors. They are not read here: being arguments
// keeps them pinned during the call, as cgo asks of what Go memory handed to C points to. Go checks
// each, so that the usual call has few.
libdsa_go_answer libdsa_go_call_few(int action, dsa_ctx *ctx, const unsigned char *desc,
                                    void *stream, void *workspace, uint64_t workspace_size,
                                    const dsa_plan *plan, const void *p0, const void *p1,
                                    const void *p2, const void *p3, const void *p4, const void *p5,
                                    const void *p6, const void *p7);
libdsa_go_answer libdsa_go_call_many(
    int action, dsa_ctx *ctx, const unsigned char *desc, void *stream, void *workspace,
    uint64_t workspace_size, const dsa_plan *plan, const void *p0, const void *p1, const void *p2,
    const void *p3, const void *p4, const void *p5, const void *p6, const void *p7, const void *p8,
    const void *p9, const void *p10, const void *p11, const void *p12, const void *p13,
    const void *p14, const void *p15, const void *p16, const void *p17, const void *p18,
    const void *p19, const void *p20, const void *p21, const void *p22, const void *p23,
    const void *p24, const void *p25, const void *p26, const void *p27, const void *p28,
    const void *p29, const void *p30, const void *p31, const void *p32, const void *p33);

typedef struct {
  dsa_status status;
  char *text;
  dsa_ctx *ctx;
} libdsa_go_context;

libdsa_go_context libdsa_go_ctx_create(uint32_t flags, int32_t device, int32_t device_id,
                                       int32_t num_threads, int32_t numa_node,
                                       const uint64_t *cpu_mask, uint64_t cpu_mask_words,
                                       const char *module_path);

#endif
