#include "store/contexts/context_list.h"

#include <assert.h>
#include <sys/mman.h>

#include "store/contexts/context_list_state.h"

static const char kind[] = "list";

/* ---- one list --------------------------------------------------------------------- */

static bool is_list(const struct context_list *l)
{
	const struct context_list_head *h = l->head;

	return h->magic == CONTEXT_LIST_MAGIC && h->version == CONTEXT_LIST_VERSION && h->end == l->len &&
	       h->index_at % CONTEXT_LIST_UNIT == 0 && h->index_at >= sizeof *h && h->index_at <= h->end &&
	       h->end - h->index_at == (uint64_t)h->count * sizeof *l->index;
}

static int map(struct context_list *l, struct err *err)
{
	const void *at;
	int64_t size;
	int r = context_file_size(&l->file, &size, err);

	if (r != OK)
		return r;
	if (size < (int64_t)sizeof *l->head)
		return fail(err, E_CORRUPT, "the list of a build context is too short");
	r = context_file_map(&l->file, (size_t)size, &at, err);
	if (r != OK)
		return r;
	l->map = at;
	l->len = (size_t)size;
	l->head = at;
	if (!is_list(l))
		return fail(err, E_CORRUPT, "the list of a build context is damaged");
	l->index = (const void *)(l->map + l->head->index_at);
	return OK;
}

int context_list_new(struct context_file *file, struct context_list **ret_list, struct err *err)
{
	CLEANUP(context_list_unrefp) struct context_list *l = calloc(1, sizeof *l);
	int r;

	if (!l)
		return fail_nomem(err);
	atomic_init(&l->refs, 1);
	l->file = *file;
	*file = (struct context_file)CONTEXT_FILE_INIT;
	r = map(l, err);
	if (r == OK)
		*ret_list = TAKE(l);
	return r;
}

int context_list_open(struct store *s, const char *directory, uint64_t number, const struct digest *digest,
		      struct context_list **ret_list, struct err *err)
{
	CLEANUP(context_file_close) struct context_file file = CONTEXT_FILE_INIT;
	CLEANUP(context_list_unrefp) struct context_list *l = NULL;
	int r = context_file_open(s, directory, kind, number, &file, err);

	if (r == OK)
		r = context_list_new(&file, &l, err);
	if (r == OK && !digest_eq(&l->head->digest, digest))
		r = fail(err, E_CORRUPT, "the list of a build context is another one");
	if (r == OK)
		*ret_list = TAKE(l);
	return r;
}

struct context_list *context_list_ref(struct context_list *l)
{
	atomic_fetch_add(&l->refs, 1);
	return l;
}

void context_list_unref(struct context_list *l)
{
	if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	if (l->map)
		munmap((void *)l->map, l->len);
	context_file_close(&l->file);
	free(l);
}

void context_list_unrefp(struct context_list **l)
{
	context_list_unref(*l);
}

/* ---- entries ------------------------------------------------------------------------ */

uint32_t context_list_count(const struct context_list *l)
{
	return l->head->count;
}

const struct digest *context_list_digest(const struct context_list *l)
{
	return &l->head->digest;
}

int64_t context_list_bytes(const struct context_list *l)
{
	return (int64_t)l->len;
}

struct context_file *context_list_file(struct context_list *l)
{
	return &l->file;
}

static const uint8_t *behind(const struct context_record_head *r)
{
	return (const uint8_t *)(r + 1);
}

struct bytes context_list_path(const struct context_list *l, uint32_t index)
{
	const struct context_record_head *r = context_record_of(l, index);

	assert(index < l->head->count);
	return (struct bytes){ behind(r), r->path_len };
}

uint32_t context_list_mode(const struct context_list *l, uint32_t index)
{
	assert(index < l->head->count);
	return context_record_of(l, index)->mode;
}

struct context_entry context_list_entry(const struct context_list *l, uint32_t index)
{
	const struct context_record_head *r = context_record_of(l, index);
	const uint8_t *at = behind(r);

	assert(index < l->head->count);
	return (struct context_entry){
		.path = { at, r->path_len },
		.mode = r->mode,
		.size = r->size,
		.mtime_ns = r->mtime_ns,
		.stamp = r->stamp,
		.device = r->device,
		.link = { at + r->path_len, r->link_len },
		.same_as = { at + r->path_len + r->link_len, r->same_as_len },
	};
}

struct bytes context_list_xattrs(const struct context_list *l, uint32_t index)
{
	const struct context_record_head *r = context_record_of(l, index);

	assert(index < l->head->count);
	return (struct bytes){ behind(r) + r->path_len + r->link_len + r->same_as_len, r->xattrs_len };
}

uint32_t context_list_source(const struct context_list *l, uint32_t index)
{
	uint32_t same_as = context_record_of(l, index)->same_as;

	assert(index < l->head->count);
	return same_as ? same_as - 1 : index;
}

/* ---- paths -------------------------------------------------------------------------- */

/* The first entry that is not before the path. */
static uint32_t lower_bound(const struct context_list *l, struct bytes path)
{
	uint32_t from = 0, to = l->head->count;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (context_path_compare(context_list_path(l, middle), path) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

uint32_t context_list_find(const struct context_list *l, struct bytes path)
{
	uint32_t i = lower_bound(l, path);

	return i < l->head->count && !context_path_compare(context_list_path(l, i), path) ? i : CONTEXT_NO_ENTRY;
}

/* From `from` on, the entries below the path are a run. */
static uint32_t end_of_run(const struct context_list *l, struct bytes path, uint32_t from)
{
	uint32_t to = l->head->count;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (context_path_is_below(path, context_list_path(l, middle)))
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

struct context_range context_list_range(const struct context_list *l, struct bytes path)
{
	uint32_t begin = lower_bound(l, path);

	if (!path.len)
		return (struct context_range){ 0, l->head->count };
	if (begin == l->head->count || context_path_compare(context_list_path(l, begin), path) != 0)
		return (struct context_range){ begin, begin };
	return (struct context_range){ begin, end_of_run(l, path, begin + 1) };
}

uint32_t context_list_skip(const struct context_list *l, uint32_t index)
{
	return end_of_run(l, context_list_path(l, index), index + 1);
}
