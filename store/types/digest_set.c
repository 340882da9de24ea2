#include "store/types/digest_set.h"

#include "proto/runtime/hash.h"

struct digest_member {
	struct digest digest;
	UT_hash_handle hh;
};

static struct digest_member *find(const struct digest_set *s, const struct digest *d)
{
	struct digest_member *m;

	HASH_FIND(hh, s->members, d, sizeof *d, m);
	return m;
}

bool digest_set_has(const struct digest_set *s, const struct digest *d)
{
	return find(s, d) != NULL;
}

int digest_set_add(struct digest_set *s, const struct digest *d, struct err *err)
{
	struct digest_member *m;

	if (find(s, d))
		return OK;
	m = calloc(1, sizeof *m);
	if (!m)
		return fail_nomem(err);
	m->digest = *d;
	HASH_ADD(hh, s->members, digest, sizeof m->digest, m);
	if (HASH_ADDED(m))
		return OK;
	free(m);
	return fail_nomem(err);
}

const struct digest *digest_set_next(const struct digest_set *s, const struct digest *before)
{
	struct digest_member *m = before ? find(s, before) : NULL;

	m = m ? m->hh.next : s->members;
	return m ? &m->digest : NULL;
}

void digest_set_free(struct digest_set *s)
{
	struct digest_member *m, *next;

	HASH_ITER(hh, s->members, m, next)
	{
		HASH_DEL(s->members, m);
		free(m);
	}
}
