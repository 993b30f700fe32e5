/* Opens the library by its path, as bindings do: it must load alone, in RTLD_LOCAL, work, and go
 * again. Not linked against libdsa. */
#include <dlfcn.h>
#include <dsa.h>
#include <stdio.h>

/* C99 has no conversion from an object pointer to a function pointer; POSIX says that the bits are
 * the same. */
static int find(void *library, const char *name, void *function, size_t bytes) {
  void *found = dlsym(library, name);
  if (!found) {
    printf("no %s: %s\n", name, dlerror());
    return 0;
  }
  memcpy(function, &found, bytes);
  return 1;
}

int main(int argc, char **argv) {
  uint32_t (*abi_version)(void);
  dsa_status (*create)(const dsa_ctx_options *, dsa_ctx **);
  void (*destroy)(dsa_ctx *);
  dsa_status (*topk)(dsa_ctx *, const dsa_topk_desc *, const dsa_exec *);
  float scores[4] = {1, 9, 3, 9};
  int32_t indices[2] = {0, 0};
  dsa_topk_desc d = dsa_topk_desc_init();
  dsa_ctx *ctx;
  void *library;

  if (argc != 2) return 2;
  library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    puts(dlerror());
    return 1;
  }
  if (!find(library, "dsa_abi_version", &abi_version, sizeof abi_version) ||
      !find(library, "dsa_ctx_create", &create, sizeof create) ||
      !find(library, "dsa_ctx_destroy", &destroy, sizeof destroy) ||
      !find(library, "dsa_topk", &topk, sizeof topk)) {
    return 1;
  }
  d.scores = dsa_tensor_2d(scores, DSA_F32, 1, 4);
  d.k = 2;
  d.indices = dsa_tensor_2d(indices, DSA_I32, 1, 2);
  if (abi_version() != DSA_ABI_VERSION) return 1;
  if (create(NULL, &ctx) != DSA_OK || topk(ctx, &d, NULL) != DSA_OK) return 1;
  destroy(ctx);
  if (dlclose(library) != 0) return 1;
  return !(indices[0] == 1 && indices[1] == 3);
}
