#include <sys/stat.h>

#include "store/contexts/context_list_state.h"
#include "store/contexts/context_xattrs.h"

enum {
	BUFFER_BYTES = 1024 * 1024,
	RECORD_MAX = sizeof(struct context_record_head) + 3 * (CONTEXT_PATH_MAX + 1) + CONTEXT_XATTRS_PACKED_MAX +
		     CONTEXT_LIST_UNIT,
	INDEX_FIRST = 4096,
	LOOK_BYTES = 16 * 1024 * 1024, /* between two looks at how full the disk is */
};

/* The index counts units in 32 bits. */
static const uint64_t file_max = (uint64_t)UINT32_MAX * CONTEXT_LIST_UNIT;

struct context_list_writer {
	struct store *store;
	struct context_file file;
	struct buf buffer; /* records that are not in the file yet */
	uint64_t written;  /* bytes of the file */
	uint64_t looked_at;
	uint32_t *index;
	size_t capacity;
	uint32_t count, n_links;
	struct hasher hasher;
	bool last_is_directory;
	size_t last_len;
	uint8_t last[CONTEXT_PATH_MAX];
};

/* ---- begin and end ----------------------------------------------------------------- */

int context_list_begin(struct store *s, const char *directory, struct context_list_writer **ret_writer, struct err *err)
{
	CLEANUP(context_list_abandonp) struct context_list_writer *w = calloc(1, sizeof *w);
	int r;

	if (!w)
		return fail_nomem(err);
	w->store = s;
	w->file = (struct context_file)CONTEXT_FILE_INIT;
	w->buffer = (struct buf)BUF_INIT(BUFFER_BYTES + RECORD_MAX);
	w->written = sizeof(struct context_list_head);
	hasher_init(&w->hasher, DIGEST_SHA256);
	r = context_file_create(s, directory, "list", &w->file, err);
	if (r == OK)
		*ret_writer = TAKE(w);
	return r;
}

void context_list_abandon(struct context_list_writer *w)
{
	if (!w)
		return;
	context_file_close(&w->file);
	buf_free(&w->buffer);
	free(w->index);
	free(w);
}

void context_list_abandonp(struct context_list_writer **w)
{
	context_list_abandon(*w);
}

uint32_t context_list_written(const struct context_list_writer *w)
{
	return w->count;
}

static int flush(struct context_list_writer *w, struct err *err)
{
	int r = OK;

	if (w->written - w->looked_at >= LOOK_BYTES) {
		w->looked_at = w->written;
		r = store_reserve(w->store, LOOK_BYTES, err);
	}
	if (r == OK)
		r = context_file_write(&w->file, w->buffer.data, w->buffer.len, w->written, err);
	w->written += w->buffer.len;
	buf_reset(&w->buffer);
	return r;
}

/* ---- the order ----------------------------------------------------------------------- */

static int fail_order(struct bytes path, const char *wrong, struct err *err)
{
	char shown[CONTEXT_SHOWN_MAX];

	return fail(err, E_INVALID, "context entry \"%s\": %s", context_path_show(path, shown), wrong);
}

/* The last entry's own directories are all there: a parent is one of them, or that entry. */
static bool has_parent(const struct context_list_writer *w, struct bytes path)
{
	struct bytes parent = context_path_parent(path), last = { w->last, w->last_len };

	if (!parent.len || context_path_is_below(parent, last))
		return true;
	return w->last_is_directory && !context_path_compare(parent, last);
}

static int check_place(const struct context_list_writer *w, const struct context_entry *e, struct err *err)
{
	if (w->count == CONTEXT_ENTRIES_MAX)
		return fail(err, E_LIMIT, "the build context has more than %d files: exclude some by .dockerignore",
			    CONTEXT_ENTRIES_MAX);
	if (w->count && context_path_compare((struct bytes){ w->last, w->last_len }, e->path) >= 0)
		return fail_order(e->path, "it is not in order", err);
	return has_parent(w, e->path) ? OK : fail_order(e->path, "what it lies in is no directory of the list", err);
}

/* ---- entries -------------------------------------------------------------------------- */

static int grow_index(struct context_list_writer *w, struct err *err)
{
	size_t capacity = w->capacity ? 2 * w->capacity : INDEX_FIRST;
	uint32_t *index;

	if (w->count < w->capacity)
		return OK;
	index = reallocarray(w->index, capacity, sizeof *index);
	if (!index)
		return fail_nomem(err);
	w->index = index;
	w->capacity = capacity;
	return OK;
}

static void append_record(struct context_list_writer *w, const struct context_entry *e)
{
	static const uint8_t zeros[CONTEXT_LIST_UNIT];
	struct context_record_head head = {
		.size = e->size,
		.mtime_ns = e->mtime_ns,
		.stamp = e->stamp,
		.device = e->device,
		.mode = e->mode,
		.path_len = (uint16_t)e->path.len,
		.link_len = (uint16_t)e->link.len,
		.same_as_len = (uint16_t)e->same_as.len,
	};
	size_t at = w->buffer.len, begin;

	buf_append(&w->buffer, &head, sizeof head);
	buf_append(&w->buffer, e->path.data, e->path.len);
	buf_append(&w->buffer, e->link.data, e->link.len);
	buf_append(&w->buffer, e->same_as.data, e->same_as.len);
	begin = w->buffer.len;
	context_xattrs_pack(e->xattrs, e->n_xattrs, &w->buffer);
	head.xattrs_len = (uint32_t)(w->buffer.len - begin);
	buf_append(&w->buffer, zeros, -w->buffer.len % CONTEXT_LIST_UNIT);
	if (buf_ok(&w->buffer))
		memcpy(w->buffer.data + at, &head, sizeof head);
}

static void remember(struct context_list_writer *w, const struct context_entry *e)
{
	memcpy(w->last, e->path.data, e->path.len);
	w->last_len = e->path.len;
	w->last_is_directory = S_ISDIR(e->mode);
	w->n_links += e->same_as.len > 0;
	context_entry_hash(&w->hasher, e);
}

int context_list_add(struct context_list_writer *w, const struct context_entry *e, struct err *err)
{
	uint64_t at = w->written + w->buffer.len;
	int r = context_entry_check(e, err);

	if (r == OK)
		r = check_place(w, e, err);
	if (r == OK)
		r = grow_index(w, err);
	if (r != OK)
		return r;
	if (at > file_max)
		return fail(err, E_LIMIT, "the names of the build context take more than 32 GiB");
	append_record(w, e);
	if (!buf_ok(&w->buffer))
		return fail_nomem(err);
	w->index[w->count++] = (uint32_t)(at / CONTEXT_LIST_UNIT);
	remember(w, e);
	return w->buffer.len >= BUFFER_BYTES ? flush(w, err) : OK;
}

int context_list_end(struct context_list_writer *w, struct context_list **ret_list, struct err *err)
{
	CLEANUP(context_list_unrefp) struct context_list *l = NULL;
	struct context_list_head head = {
		.magic = CONTEXT_LIST_MAGIC,
		.version = CONTEXT_LIST_VERSION,
		.count = w->count,
		.n_links = w->n_links,
	};
	size_t index_bytes = w->count * sizeof *w->index;
	int r = flush(w, err);

	head.index_at = w->written;
	head.end = w->written + index_bytes;
	head.digest = hasher_final(&w->hasher);
	if (r == OK)
		r = context_file_write(&w->file, w->index, index_bytes, head.index_at, err);
	if (r == OK)
		r = context_file_write(&w->file, &head, sizeof head, 0, err);
	if (r == OK)
		r = context_list_new(&w->file, &l, err);
	if (r == OK)
		r = context_list_resolve_links(l, err);
	if (r == OK)
		*ret_list = TAKE(l);
	return r;
}
