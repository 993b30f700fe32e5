// Package cheap says how much of the C library's heap is in use, for tests that look for leaks.
package cheap

// #include <malloc.h>
//
// static void one_arena(void) { mallopt(M_ARENA_MAX, 1); }
// static size_t bytes_in_use(void) {
//   struct mallinfo2 info = mallinfo2(); // of the first arena
//   return info.uordblks + info.hblkhd;
// }
import "C"

func init() { C.one_arena() }

// BytesInUse counts what malloc gave and free did not get back.
func BytesInUse() int { return int(C.bytes_in_use()) }
