/*
 * What an operation's result is found by (build.md 2.1).
 */
#ifndef SERVICE_BUILD_SOLVE_KEYS_H
#define SERVICE_BUILD_SOLVE_KEYS_H

#include "service/build/solve/inputs.h"

/* Over the chains of the trees that it takes files of: known without reading any. False: it has
 * none, as it takes files of a context. */
bool keys_of_definition(const struct inputs *in, struct digest *ret_key);

/* Over the contents that it takes; kept in in->digests. Waits until files of contexts are here. */
int keys_of_contents(struct inputs *in, struct digest *ret_key, struct err *err);

/* What a symbol (stack.h) says of an input; after the one above when it is of a context. */
struct digest keys_symbol_of_input(const struct inputs *in, size_t input);

#endif
