/* What every consumer builds: strict C99 that needs nothing but the installed header. */
#include <dsa.h>
#include <stdio.h>

int main(void) {
  float scores[2][4] = {{1, 9, 3, 9}, {-2, -1, -4, -3}};
  int32_t indices[2][2] = {{0, 0}, {0, 0}};
  dsa_topk_desc d = dsa_topk_desc_init();
  dsa_ctx *ctx;

  if (dsa_version() != DSA_VERSION || dsa_abi_version() != DSA_ABI_VERSION) {
    puts("the header and the library are of different versions");
    return 1;
  }
  d.scores = dsa_tensor_2d(scores, DSA_F32, 2, 4);
  d.k = 2;
  d.indices = dsa_tensor_2d(indices, DSA_I32, 2, 2);
  if (dsa_ctx_create(NULL, &ctx) != DSA_OK || dsa_topk(ctx, &d, NULL) != DSA_OK) {
    puts(dsa_last_error());
    return 1;
  }
  dsa_ctx_destroy(ctx);
  printf("%d %d, %d %d\n", (int)indices[0][0], (int)indices[0][1], (int)indices[1][0],
         (int)indices[1][1]);
  return !(indices[0][0] == 1 && indices[0][1] == 3 && indices[1][0] == 0 && indices[1][1] == 1);
}
