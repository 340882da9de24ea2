#include "service/build/context/archive_spool.h"

#include <sys/mman.h>

enum { BUFFER_BYTES = 1024 * 1024, ENTRIES_FIRST = 1024 };

int spool_begin(struct archive_spool *s, struct store *store, struct err *err)
{
	*s = (struct archive_spool){ .file = CONTEXT_FILE_INIT, .buffer = BUF_INIT(2 * BUFFER_BYTES) };
	return context_file_create(store, NULL, "spool", &s->file, err);
}

void spool_free(struct archive_spool *s)
{
	if (s->map)
		munmap((void *)s->map, s->len);
	context_file_close(&s->file);
	buf_free(&s->buffer);
	free(s->at);
}

static int flush(struct archive_spool *s, struct err *err)
{
	int r = context_file_write(&s->file, s->buffer.data, s->buffer.len, s->written, err);

	s->written += s->buffer.len;
	buf_reset(&s->buffer);
	return r;
}

static int grow(struct archive_spool *s, struct err *err)
{
	size_t capacity = s->capacity ? 2 * s->capacity : ENTRIES_FIRST;
	uint64_t *at;

	if (s->n < s->capacity)
		return OK;
	at = reallocarray(s->at, capacity, sizeof *at);
	if (!at)
		return fail_nomem(err);
	s->at = at;
	s->capacity = capacity;
	return OK;
}

int spool_add(struct archive_spool *s, const struct spool_entry *e, struct err *err)
{
	int r = s->n < 2 * (size_t)CONTEXT_ENTRIES_MAX
			? grow(s, err)
			: fail(err, E_LIMIT, "the archive has more than %d entries", 2 * CONTEXT_ENTRIES_MAX);

	if (r != OK)
		return r;
	s->at[s->n++] = s->written + s->buffer.len;
	buf_append(&s->buffer, &e->head, sizeof e->head);
	buf_append(&s->buffer, e->path.data, e->path.len);
	buf_append(&s->buffer, e->link.data, e->link.len);
	buf_append(&s->buffer, e->xattrs.data, e->xattrs.len);
	if (!buf_ok(&s->buffer))
		return fail_nomem(err);
	return s->buffer.len >= BUFFER_BYTES ? flush(s, err) : OK;
}

static struct spool_entry entry_at(const struct archive_spool *s, uint64_t at)
{
	struct spool_entry e;
	const uint8_t *behind = s->map + at + sizeof e.head;

	memcpy(&e.head, s->map + at, sizeof e.head);
	e.path = (struct bytes){ behind, e.head.path_len };
	e.link = (struct bytes){ behind + e.head.path_len, e.head.link_len };
	e.xattrs = (struct bytes){ behind + e.head.path_len + e.head.link_len, e.head.xattrs_len };
	return e;
}

struct spool_entry spool_get(const struct archive_spool *s, size_t i)
{
	return entry_at(s, s->at[i]);
}

/* By path, and of one path the last one first. */
static int compare(const void *a, const void *b, void *spool)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	int order = context_path_compare(entry_at(spool, x).path, entry_at(spool, y).path);

	return order ? order : (x < y) - (x > y);
}

static void drop_older(struct archive_spool *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++)
		if (!kept || context_path_compare(spool_get(s, i).path, spool_get(s, kept - 1).path) != 0)
			s->at[kept++] = s->at[i];
	s->n = kept;
}

int spool_end(struct archive_spool *s, struct err *err)
{
	const void *map;
	int r = flush(s, err);

	if (r != OK || !s->n)
		return r;
	r = context_file_map(&s->file, s->written, &map, err);
	if (r != OK)
		return r;
	s->map = map;
	s->len = s->written;
	qsort_r(s->at, s->n, sizeof *s->at, compare, s);
	drop_older(s);
	return OK;
}

bool spool_find(const struct archive_spool *s, struct bytes path, size_t *ret_i)
{
	size_t from = 0, to = s->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = context_path_compare(spool_get(s, middle).path, path);

		if (!order) {
			*ret_i = middle;
			return true;
		}
		if (order < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return false;
}
