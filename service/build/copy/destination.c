#include "service/build/copy/destination.h"

#include <sys/stat.h>

#include "store/contexts/context_list.h"

static int fail_mkdir(struct bytes path, struct err *err)
{
	return fail(err, E_INVALID, "mkdir /%.*s: not a directory", (int)min_size(path.len, 512),
		    (const char *)path.data);
}

static int look(struct destination *d, struct bytes path, bool *ret_found, struct source_entry *ret_entry,
		struct err *err)
{
	struct err why = ERR_INIT;
	int rc;

	*ret_found = false;
	if (!d->into.view)
		return OK;
	rc = source_lookup(&d->into, path, ret_entry, &why);
	*ret_found = rc == OK;
	return rc == OK || rc == E_NOT_FOUND ? OK : fail(err, rc, "%s", why.text);
}

/* ---- the path ----------------------------------------------------------------------------- */

static int resolve(struct destination *d, struct bytes path, struct err *err)
{
	struct tree_entry e;
	bool found = false;
	int rc = OK;

	if (d->into.view)
		rc = tree_view_resolve(d->into.view, path, true, &d->path, &found, &e, err);
	else if (!buf_append(&d->path, path.data + 1, path.len - 1)) /* cleaned */
		return fail_nomem(err);
	if (rc != OK)
		return rc;
	if (!d->path.len)
		d->state = DESTINATION_DIRECTORY;
	else if (found)
		d->state = S_ISDIR(e.node.mode) ? DESTINATION_DIRECTORY : DESTINATION_FILE;
	return OK;
}

static size_t count_parts(struct bytes path)
{
	size_t n = path.len != 0;

	for (size_t i = 0; i < path.len; i++)
		n += path.data[i] == '/';
	return n;
}

/* The directories above it. */
static int look_at_way(struct destination *d, struct err *err)
{
	struct bytes path = buf_bytes(&d->path);

	d->way = calloc(count_parts(path) + 1, sizeof *d->way);
	if (!d->way)
		return fail_nomem(err);
	for (size_t i = 1; i < path.len; i++) {
		struct destination_directory *w = &d->way[d->n_way];
		int rc;

		if (path.data[i] != '/')
			continue;
		w->path_len = i;
		rc = look(d, (struct bytes){ path.data, i }, &w->exists, &w->e, err);
		if (rc == OK && w->exists && !S_ISDIR(w->e.mode))
			return fail_mkdir((struct bytes){ path.data, i }, err);
		if (rc != OK)
			return rc;
		d->n_way++;
	}
	return OK;
}

int destination_init(struct destination *d, struct tree_view *into, const char *path, struct err *err)
{
	size_t len = strlen(path);
	bool is_directory = len > 1 && path[len - 1] == '/';
	int rc;

	*d = (struct destination){ .into = { .view = into },
				   .mode = 0755,
				   .path = BUF_INIT(TREE_PATH_MAX),
				   .missing = BUF_INIT(2 * TREE_PATH_MAX) };
	rc = resolve(d, (struct bytes){ (const uint8_t *)path, len - is_directory }, err);
	d->found = d->state;
	if (rc == OK)
		rc = look_at_way(d, err);
	if (rc == OK && is_directory && d->state == DESTINATION_FILE)
		return fail_mkdir(buf_bytes(&d->path), err);
	if (rc == OK && is_directory)
		d->state = DESTINATION_DIRECTORY;
	d->has_missing = rc == OK && d->found == DESTINATION_MISSING;
	if (d->has_missing && !buf_append(&d->missing, d->path.data, d->path.len))
		return fail_nomem(err);
	return rc;
}

void destination_free(struct destination *d)
{
	buf_free(&d->path);
	buf_free(&d->missing);
	free(d->way);
}

/* ---- the way ------------------------------------------------------------------------------- */

/* Itself, when it is a directory. */
static int add_itself(struct destination *d, struct err *err)
{
	struct destination_directory *w = &d->way[d->n_way];

	if (!d->path.len || d->state != DESTINATION_DIRECTORY)
		return OK;
	w->path_len = d->path.len;
	d->n_way++;
	return look(d, buf_bytes(&d->path), &w->exists, &w->e, err);
}

static int tell(const struct destination *d, const struct destination_directory *w, struct layer_out *out,
		struct err *err)
{
	struct bytes path = { d->path.data, w->path_len };

	if (!w->exists)
		return layer_out_directory(out, path, d->mode, &d->owner, d->time, err);
	return layer_out_entry(out, path, &w->e, 0, err);
}

int destination_tell_way(struct destination *d, bool all, struct layer_out *out, struct err *err)
{
	int rc = OK;

	if (d->is_told)
		return OK;
	if (!d->n_way || d->way[d->n_way - 1].path_len < d->path.len)
		rc = add_itself(d, err);
	for (size_t i = 0; i < d->n_way; i++)
		all = all || !d->way[i].exists;
	if (rc != OK || !all)
		return rc;
	d->is_told = true;
	for (size_t i = 0; rc == OK && i < d->n_way; i++)
		rc = tell(d, &d->way[i], out, err);
	return rc;
}

/* ---- what is there --------------------------------------------------------------------------- */

int destination_lookup(struct destination *d, struct bytes path, bool *ret_found, struct source_entry *ret_entry,
		       struct err *err)
{
	int rc;

	*ret_found = false;
	if (!d->into.view || (d->has_missing && context_path_is_below(buf_bytes(&d->missing), path)))
		return OK;
	rc = look(d, path, ret_found, ret_entry, err);
	if (rc != OK || *ret_found)
		return rc;
	d->has_missing = true;
	buf_reset(&d->missing);
	return buf_append(&d->missing, path.data, path.len) ? OK : fail_nomem(err);
}
