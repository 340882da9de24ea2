#include "store/gc/gone.h"

#include "proto/runtime/hash.h"

struct gone_name {
	char *text;
	UT_hash_handle hh;
};

static const struct gone_name *find(const struct gone *g, const char *name)
{
	struct gone_name *n;

	HASH_FIND_STR(g->names, name, n);
	return n;
}

bool gone_has_name(const struct gone *g, const char *name)
{
	return g && find(g, name);
}

bool gone_has_record(const struct gone *g, const struct digest *d)
{
	return g && digest_set_has(&g->records, d);
}

static void name_free(struct gone_name *n)
{
	free(n->text);
	free(n);
}

int gone_add_name(struct gone *g, const char *name, struct err *err)
{
	struct gone_name *n;

	if (find(g, name))
		return OK;
	n = calloc(1, sizeof *n);
	if (!n)
		return fail_nomem(err);
	n->text = strdup(name);
	if (n->text)
		HASH_ADD_KEYPTR(hh, g->names, n->text, strlen(n->text), n);
	if (HASH_ADDED(n))
		return OK;
	name_free(n);
	return fail_nomem(err);
}

void gone_free(struct gone *g)
{
	struct gone_name *n, *next;

	digest_set_free(&g->records);
	HASH_ITER(hh, g->names, n, next)
	{
		HASH_DEL(g->names, n);
		name_free(n);
	}
}
