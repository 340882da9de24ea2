#include "service/tree/hard_links.h"

#include <sys/stat.h>

#include "proto/runtime/hash.h"

/* Of a file: its layer and its inode there. */
struct key {
	uint8_t bytes[2 * sizeof(uint64_t)];
};

struct first_name {
	struct key key;
	uint32_t to_come;
	UT_hash_handle hh;
	size_t len;
	uint8_t path[];
};

void hard_links_init(struct hard_links *f)
{
	*f = (struct hard_links){ .last = BUF_INIT(TREE_PATH_MAX) };
}

static struct key key_of(const struct tree_entry *e)
{
	const uint64_t numbers[] = { e->layer, e->node.nid };
	struct key key;

	memcpy(key.bytes, numbers, sizeof numbers);
	return key;
}

static void forget(struct hard_links *f, struct first_name *n)
{
	f->bytes -= sizeof *n + n->len;
	HASH_DEL(f->all, n);
	free(n);
}

void hard_links_free(struct hard_links *f)
{
	while (f->all)
		forget(f, f->all);
	buf_free(&f->last);
}

static int remember(struct hard_links *f, const struct tree_entry *e, const struct key *key, struct err *err)
{
	struct first_name *n;

	if (f->bytes > HARD_LINKS_BYTES_MAX - sizeof *n - e->path.len)
		return fail(err, E_LIMIT, "the image has too many files with several names");
	n = malloc(sizeof *n + e->path.len);
	if (!n)
		return fail_nomem(err);
	n->key = *key;
	n->to_come = e->node.links - 1;
	n->len = e->path.len;
	memcpy(n->path, e->path.data, n->len);
	HASH_ADD(hh, f->all, key, sizeof n->key, n);
	if (!HASH_ADDED(n)) {
		free(n);
		return fail_nomem(err);
	}
	f->bytes += sizeof *n + n->len;
	return OK;
}

int hard_links_first_name(struct hard_links *f, const struct tree_entry *e, struct bytes *ret_name, struct err *err)
{
	const struct key key = key_of(e);
	struct first_name *n;

	*ret_name = (struct bytes){ NULL, 0 };
	if (e->node.links < 2 || S_ISDIR(e->node.mode))
		return OK;
	HASH_FIND(hh, f->all, &key, sizeof key, n);
	if (!n)
		return remember(f, e, &key, err);
	buf_reset(&f->last);
	if (!buf_append(&f->last, n->path, n->len))
		return fail_nomem(err);
	*ret_name = buf_bytes(&f->last);
	if (!--n->to_come)
		forget(f, n);
	return OK;
}
