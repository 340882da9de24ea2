/* A path of a context or a tree as a layer: the directories above it, it itself, and all below. */
#include <sys/stat.h>

#include "service/build/copy/copying.h"
#include "service/build/copy/layer_out.h"
#include "store/types/path.h"

int copy_select_path(const struct copy_files *files, const char *path, struct cancel *cancel, struct arena *a,
		     struct copy_item *ret_item, struct err *err)
{
	const struct copy_source source = { .kind = SOURCE_FILE, .path = path, .pattern = "" };
	const struct copy_step step = { .n_sources = 1 };
	struct copy_items items = { .n = 0 };
	int rc = files->context ? build_context_wait(files->context, cancel, err) : OK;

	if (rc == OK)
		rc = select_source(&step, &source, files, a, &items, err);
	if (rc == OK && !items.n)
		return fail(err, E_UNSUPPORTED, "\"%s\" is a socket", path);
	if (rc == OK)
		rc = select_need(items.all, 1, cancel, err);
	if (rc == OK)
		*ret_item = items.all[0];
	return rc;
}

/* As they are where the path has no links, else new ones. */
static int put_way(const struct copy_files *files, struct bytes path, struct layer_out *out, struct err *err)
{
	const struct copy_owner root = { 0 };
	int rc = OK;

	for (size_t i = 1; rc == OK && i < path.len; i++) {
		struct bytes directory = { path.data, i };
		struct source_entry e;

		if (path.data[i] != '/')
			continue;
		if (source_lookup(files, directory, &e, NULL) == OK && S_ISDIR(e.mode))
			rc = layer_out_entry(out, directory, &e, 0, err);
		else
			rc = layer_out_directory(out, directory, 0755, &root, 0, err);
	}
	return rc;
}

static int put_all(const struct copy_item *item, struct bytes path, struct layer_out *out, struct err *err)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(2 * TREE_PATH_MAX);
	CLEANUP(stream_closep) struct stream *s = NULL;
	const struct stream_entry *e = NULL;
	int rc = stream_open(item->files, item->path, NULL, &s, err);

	while (rc == OK && (rc = stream_next(s, &e, err)) == OK && e) {
		buf_reset(&name);
		buf_append(&name, path.data, path.len);
		if (path.len && e->e.path.len)
			buf_putc(&name, '/');
		buf_append(&name, e->e.path.data, e->e.path.len);
		if (!buf_ok(&name))
			return fail(err, E_LIMIT, "a path of the layer has more than %d bytes", TREE_PATH_MAX);
		if (name.len)
			rc = layer_out_entry(out, buf_bytes(&name), &e->e, 0, err);
	}
	return rc;
}

static int write_subtree(const struct copy_files *files, const char *path, struct layer_out *out, struct arena *a,
			 struct err *err)
{
	CLEANUP(buf_free) struct buf cleaned = BUF_INIT(TREE_PATH_MAX);
	struct copy_item item;
	struct bytes named;
	int rc = copy_select_path(files, path, out->cancel, a, &item, err);

	if (rc != OK)
		return rc;
	if (!path_join("", path, &cleaned))
		return fail(err, E_LIMIT, "a source of a mount is too long");
	named = (struct bytes){ cleaned.data + 1, cleaned.len - 1 };
	rc = put_way(files, named, out, err);
	if (rc == OK)
		rc = put_all(&item, named, out, err);
	return rc == OK ? layer_out_end(out, err) : rc;
}

int copy_subtree_layer(const struct copy_files *files, const char *path, struct cancel *cancel, copy_write *write,
		       void *arg, struct err *err)
{
	struct layer_out out;
	struct arena arena;
	int rc;

	layer_out_init(&out, write, arg, cancel);
	arena_init(&arena, COPY_MEMORY_MAX);
	rc = write_subtree(files, path, &out, &arena, err);
	layer_out_free(&out);
	arena_free(&arena);
	return rc;
}
