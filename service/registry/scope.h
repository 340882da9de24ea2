/*
 * Scopes (distribution, "token scope documentation"): what a token is asked for,
 * "repository:NAME:ACTION[,ACTION…]" or "registry:catalog:*".
 *
 * A set names each resource once, with every action that was asked for it: so a
 * token that was got for a push serves its questions too. Order is kept, as some
 * token servers read only the first. Pure values.
 */
#ifndef SERVICE_REGISTRY_SCOPE_H
#define SERVICE_REGISTRY_SCOPE_H

#include "proto/runtime/mem.h"

enum { SCOPE_MAX = 512, SCOPES_MAX = 16 };

#define SCOPE_CATALOG "registry:catalog:*"

struct scopes {
	size_t n;
	char items[SCOPES_MAX][SCOPE_MAX];
};

/* False when it does not fit or is no visible ASCII: the set is then as it was. ""
 * is no scope and fits always. */
bool scopes_add(struct scopes *s, const char *scope);
/* All of a list that is parted by blanks, as challenges have it; what does not fit
 * is left out. */
void scopes_add_list(struct scopes *s, const char *list);

#endif
