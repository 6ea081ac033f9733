/* Which tree the program was built from; the only file that is built anew for every commit. */
#include "experiments/provenance.h"

#ifndef BALLAST_BUILD /* the Makefile's, by a header made for the purpose */
#define BALLAST_BUILD "unknown"
#endif

const char ballast_build[] = BALLAST_BUILD;
