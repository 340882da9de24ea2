#include "service/build/diff/links.h"

#include "proto/runtime/hash.h"
#include "service/build/diff/changes.h"

struct key {
	dev_t dev;
	ino_t ino;
};

struct link {
	UT_hash_handle hh;
	struct key key;
	char name[];
};

void links_free(struct links *l)
{
	struct link *link, *next;

	HASH_ITER(hh, l->all, link, next)
	{
		HASH_DEL(l->all, link);
		free(link);
	}
	l->bytes = 0;
}

static int add(struct links *l, const struct key *key, struct bytes name, struct err *err)
{
	size_t size = sizeof(struct link) + name.len + 1;
	struct link *link = l->bytes + size > CHANGES_NAMES_MAX ? NULL : calloc(1, size);

	if (!link)
		return l->bytes + size > CHANGES_NAMES_MAX ? fail(err, E_LIMIT, "too many hard links for one layer")
							   : fail_nomem(err);
	link->key = *key;
	memcpy(link->name, name.data, name.len);
	HASH_ADD(hh, l->all, key, sizeof link->key, link);
	if (!HASH_ADDED(link)) {
		free(link);
		return fail_nomem(err);
	}
	l->bytes += size;
	return OK;
}

int links_find_or_add(struct links *l, const struct stat *st, struct bytes name, const char **ret_first,
		      struct err *err)
{
	struct key key;
	struct link *link;

	memset(&key, 0, sizeof key);
	key.dev = st->st_dev;
	key.ino = st->st_ino;
	HASH_FIND(hh, l->all, &key, sizeof key, link);
	*ret_first = link ? link->name : NULL;
	return link ? OK : add(l, &key, name, err);
}
