// dsa.h and dsa_dlpack.h in C++.
#include "dsa_dlpack.h"

int dsa_header_alone_cpp();
int dsa_header_alone_cpp() { return DSA_VERSION; }
