#include "service/build/copy/merge.h"

#include <sys/stat.h>

/* An item, and the entry that it is at. */
struct branch {
	struct stream *stream;
	const struct copy_item *item;
	struct bytes target;
	const struct stream_entry *entry;
};

struct merge {
	struct branch *branches; /* in the order of the items */
	size_t n;
	size_t *heap; /* branches; what comes first is at the top */
	size_t n_heap;
	size_t *held; /* those whose entry was given out */
	size_t n_held;
	size_t walks; /* of trees */
	struct merged_entry out;
};

static struct bytes path_of(const struct branch *b)
{
	return b->entry->e.path.len ? b->entry->e.path : b->target;
}

/* ---- the heap ------------------------------------------------------------------------------ */

static bool is_before(const struct merge *m, size_t a, size_t b)
{
	int order = context_path_compare(path_of(&m->branches[a]), path_of(&m->branches[b]));

	return order ? order < 0 : a < b;
}

static void swap(struct merge *m, size_t i, size_t k)
{
	size_t a = m->heap[i];

	m->heap[i] = m->heap[k];
	m->heap[k] = a;
}

static void push(struct merge *m, size_t branch)
{
	size_t i = m->n_heap++;

	m->heap[i] = branch;
	for (; i && is_before(m, m->heap[i], m->heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(m, i, (i - 1) / 2);
}

static size_t pop(struct merge *m)
{
	size_t top = m->heap[0], i = 0;

	m->heap[0] = m->heap[--m->n_heap];
	for (;;) {
		size_t least = i;

		for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < m->n_heap; k++)
			if (is_before(m, m->heap[k], m->heap[least]))
				least = k;
		if (least == i)
			return top;
		swap(m, i, least);
		i = least;
	}
}

/* ---- life ------------------------------------------------------------------------------------ */

static int fail_required(const struct branch *b, struct err *err)
{
	return source_fail_missing(b->item->files, bytes_of(b->item->required), err);
}

static int advance(struct merge *m, size_t i, struct err *err)
{
	struct branch *b = &m->branches[i];
	int rc = stream_next(b->stream, &b->entry, err);

	if (rc == OK && b->entry)
		push(m, i);
	else if (rc == OK && b->item->required && !stream_included(b->stream))
		return fail_required(b, err);
	return rc;
}

static int open_branch(struct merge *m, const struct copy_item *item, struct bytes target, struct err *err)
{
	struct branch *b = &m->branches[m->n];
	bool is_walk = S_ISDIR(item->mode) && item->files->view;
	int rc;

	if (is_walk && m->walks++ == COPY_WALKS_MAX)
		return fail(err, E_LIMIT, "the sources of one instruction name more than %d directories of a stage",
			    COPY_WALKS_MAX);
	rc = stream_open(item->files, item->path, item->filter, &b->stream, err);

	if (rc != OK)
		return rc;
	b->item = item;
	b->target = target;
	return advance(m, m->n++, err);
}

int merge_open(const struct copy_items *items, const struct bytes *targets, struct merge **ret_merge, struct err *err)
{
	CLEANUP(merge_closep) struct merge *m = calloc(1, sizeof *m);
	int rc = OK;

	if (!m)
		return fail_nomem(err);
	m->branches = calloc(items->n + 1, sizeof *m->branches);
	m->heap = calloc(items->n + 1, sizeof *m->heap);
	m->held = calloc(items->n + 1, sizeof *m->held);
	if (!m->branches || !m->heap || !m->held)
		return fail_nomem(err);
	for (size_t i = 0; rc == OK && i < items->n; i++)
		rc = open_branch(m, &items->all[i], targets[i], err);
	if (rc == OK)
		*ret_merge = TAKE(m);
	return rc;
}

void merge_close(struct merge *m)
{
	if (!m)
		return;
	for (size_t i = 0; m->branches && i < m->n; i++)
		stream_close(m->branches[i].stream);
	free(m->branches);
	free(m->heap);
	free(m->held);
	free(m);
}

void merge_closep(struct merge **m)
{
	merge_close(*m);
}

/* ---- entries ----------------------------------------------------------------------------------- */

int merge_fail_directory(struct bytes directory, struct bytes path, struct err *err)
{
	return fail(err, E_INVALID, "cannot replace to directory /%.*s%s%.*s with file",
		    (int)min_size(directory.len, 256), (const char *)directory.data,
		    directory.len && path.len ? "/" : "", (int)min_size(path.len, 512), (const char *)path.data);
}

int merge_fail_file(struct bytes directory, struct bytes path, struct err *err)
{
	return fail(err, E_INVALID, "cannot copy to non-directory: /%.*s%s%.*s", (int)min_size(directory.len, 256),
		    (const char *)directory.data, directory.len && path.len ? "/" : "", (int)min_size(path.len, 512),
		    (const char *)path.data);
}

static int take(struct merge *m, size_t i, struct err *err)
{
	const struct branch *b = &m->branches[i];
	bool is_first = !m->n_held, is_directory = S_ISDIR(b->entry->e.mode);
	const struct bytes none = { 0 };

	m->held[m->n_held++] = i;
	if (!is_first && is_directory != S_ISDIR(m->out.entry->e.mode))
		return is_directory ? merge_fail_file(none, m->out.path, err)
				    : merge_fail_directory(none, m->out.path, err);
	if (is_first || !b->entry->is_way)
		m->out = (struct merged_entry){ path_of(b), b->entry, b->item, i };
	return OK;
}

static int advance_held(struct merge *m, struct err *err)
{
	int rc = OK;

	while (rc == OK && m->n_held)
		rc = advance(m, m->held[--m->n_held], err);
	return rc;
}

int merge_next(struct merge *m, const struct merged_entry **ret_entry, struct err *err)
{
	int rc = advance_held(m, err);

	*ret_entry = m->n_heap ? &m->out : NULL;
	while (rc == OK && m->n_heap) {
		if (m->n_held && context_path_compare(path_of(&m->branches[m->heap[0]]), m->out.path) != 0)
			break;
		rc = take(m, pop(m), err);
	}
	return rc;
}
