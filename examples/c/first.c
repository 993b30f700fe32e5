/* The first program of dsa.h: the 2 largest of each row. Prints "1 3, 0 1". */
#include <dsa.h>
#include <stdio.h>

int main(void) {
  float scores[2][4] = {{1, 9, 3, 9}, {-2, -1, -4, -3}};
  int32_t indices[2][2];
  dsa_ctx *ctx;
  dsa_topk_desc d;

  if (dsa_ctx_create(NULL, &ctx) != DSA_OK) {
    puts(dsa_last_error());
    return 1;
  }
  d = dsa_topk_desc_init();
  d.scores = dsa_tensor_2d(scores, DSA_F32, 2, 4);
  d.k = 2;
  d.indices = dsa_tensor_2d(indices, DSA_I32, 2, 2);
  if (dsa_topk(ctx, &d, NULL) != DSA_OK) {
    puts(dsa_last_error());
    return 1;
  }
  printf("%d %d, %d %d\n", indices[0][0], indices[0][1], indices[1][0], indices[1][1]);
  dsa_ctx_destroy(ctx);
  return 0;
}
