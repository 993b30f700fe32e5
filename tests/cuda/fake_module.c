/* Files that are found where libdsa-cuda.so is searched and are not it.
 *   FAKE_OLD     answers as a module of another backend number does
 *   FAKE_LAYOUT  of the right number, built from other structs
 *   FAKE_OTHER   a library of somebody else */
#include <stddef.h>
#include <stdint.h>

#if defined(FAKE_OLD)
const void *dsa_cuda_backend(uint32_t abi) {
  (void)abi;
  return NULL;
}
#elif defined(FAKE_LAYOUT)
const void *dsa_cuda_backend(uint32_t abi) {
  static const uint32_t layout[64] = {1};
  (void)abi;
  return layout;
}
#elif defined(FAKE_OTHER)
int32_t somebody_elses_function(void) { return 0; }
#endif
