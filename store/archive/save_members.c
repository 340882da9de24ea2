#include "store/archive/save_members.h"

struct save_member *save_add(struct save *a, const char *name, uint32_t mode, int64_t size)
{
	struct save_member *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	snprintf(m->tar.name, sizeof m->tar.name, "%s", name);
	m->tar.mode = mode;
	m->tar.size = size;
	*a->last = m;
	a->last = &m->next;
	a->n_members++;
	return m;
}

int save_add_blob(struct save *a, const char *name, uint32_t mode, const struct digest *d, int64_t size,
		  struct save_member **ret_member, struct err *err)
{
	struct save_member *m;

	if (ret_member)
		*ret_member = NULL;
	HASH_FIND(hh, a->blobs, d, sizeof *d, m);
	if (m)
		return OK;
	m = save_add(a, name, mode, size);
	if (!m)
		return fail_nomem(err);
	m->digest = *d;
	m->stored_size = size;
	HASH_ADD(hh, a->blobs, digest, sizeof m->digest, m);
	if (!HASH_ADDED(m))
		return fail_nomem(err);
	if (ret_member)
		*ret_member = m;
	return OK;
}

int save_add_document(struct save *a, const char *name, uint32_t mode, size_t max, save_document_fn *make,
		      const void *arg, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(max);
	struct save_member *m;
	int r = make(arg, &body, err);

	if (r != OK || !body.len)
		return r;
	m = save_add(a, name, mode, (int64_t)body.len);
	if (!m)
		return fail_nomem(err);
	m->body = TAKE(body);
	return OK;
}

/* Names part by part: a slash comes before every other byte. */
static int compare(const void *a, const void *b)
{
	const uint8_t *x = (const uint8_t *)(*(struct save_member *const *)a)->tar.name;
	const uint8_t *y = (const uint8_t *)(*(struct save_member *const *)b)->tar.name;

	while (*x && *x == *y) {
		x++;
		y++;
	}
	if (*x == *y)
		return 0;
	if (!*x || !*y)
		return *x ? 1 : -1;
	return *x == '/' || (*y != '/' && *x < *y) ? -1 : 1;
}

int save_sort(struct save *a, struct err *err)
{
	CLEANUP(freep) struct save_member **all = calloc(a->n_members + 1, sizeof *all);
	size_t n = 0;

	if (!all)
		return fail_nomem(err);
	for (struct save_member *m = a->members; m; m = m->next)
		all[n++] = m;
	qsort(all, n, sizeof(*all), compare);
	a->last = &a->members;
	for (size_t i = 0; i < n; i++) {
		*a->last = all[i];
		a->last = &all[i]->next;
	}
	*a->last = NULL;
	return OK;
}
