/*
 * Asks for the files of the client that a build looks at, all at once and ahead of the steps:
 * "[internal] load build context". On a thread of its own, beside what is solved meanwhile.
 */
#ifndef SERVICE_BUILD_SESSION_PREFETCH_H
#define SERVICE_BUILD_SESSION_PREFETCH_H

#include "service/build/session/front_end.h"

struct prefetch;

/* Contexts of all the platforms' graphs, which are loaded. NULL in *ret_prefetch: there is nothing to ask for. */
int prefetch_start(struct session *s, struct front_end *fronts, size_t n, struct prefetch **ret_prefetch,
		   struct err *err);
/* Waits for its end. What it could not get is for the steps to say that need it. */
void prefetch_end(struct prefetch *p); /* NULL is fine */

#endif
