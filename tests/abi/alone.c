/* dsa.h stands alone, more than once, in strict C99. */
#include "dsa.h"

/* Again: the include guard holds. */
#include "dsa.h"

int dsa_header_alone_c(void);
int dsa_header_alone_c(void) { return (int)DSA_VERSION; }
