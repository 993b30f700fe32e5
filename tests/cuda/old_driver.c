/* libcuda.so.1 of a driver for CUDA 12.4. The runtime inside the module asks nothing else of a
 * driver that is older than itself. */
int cuDriverGetVersion(int *version) {
  *version = 12040;
  return 0;
}
