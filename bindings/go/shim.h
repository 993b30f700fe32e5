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
// keeps them pinned during the call, as cgo asks of what Go memory handed to C points to. Of bytes,
// which the runtime does not search for pointers as it would what a void * points to: tensors and
// workspaces hold none, and the search of a usual call takes 60 ns.
libdsa_go_answer libdsa_go_call_few(int action, dsa_ctx *ctx, const unsigned char *desc,
                                    uintptr_t stream, unsigned char *workspace,
                                    uint64_t workspace_size, const dsa_plan *plan,
                                    const unsigned char *p0, const unsigned char *p1,
                                    const unsigned char *p2, const unsigned char *p3,
                                    const unsigned char *p4, const unsigned char *p5,
                                    const unsigned char *p6, const unsigned char *p7);
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
    const unsigned char *p32, const unsigned char *p33);

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
