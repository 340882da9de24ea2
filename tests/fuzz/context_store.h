/* A store in memory, opened once, for the targets that put contexts into one. */
#ifndef TESTS_FUZZ_CONTEXT_STORE_H
#define TESTS_FUZZ_CONTEXT_STORE_H

#include "store/contexts/contexts.h"

struct contexts *fuzz_contexts(void);

#endif
