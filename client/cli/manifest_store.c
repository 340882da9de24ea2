#include "client/cli/manifest_store.h"

#include <dirent.h>
#include <stdio.h>

#include "client/cli/file_error.h"
#include "client/cli/json_file.h"
#include "client/cli/output_file.h"
#include "client/cli/path.h"

/* ---- names ----------------------------------------------------------------- */

/* A reference as one part of a path; it holds nothing else that a path would mind. */
static char *file_name(const struct reference *ref, char out[REFERENCE_TEXT_MAX])
{
	reference_text(ref, out);
	for (char *p = out; *p; p++)
		*p = *p == ':' ? '-' : *p == '/' ? '_' : *p;
	return out;
}

static char *list_path(const char *root, const struct reference *list)
{
	char name[REFERENCE_TEXT_MAX];

	return format("%s/manifests/%s", root, file_name(list, name));
}

static int fail_missing(const struct reference *ref, struct err *err)
{
	char name[REFERENCE_TEXT_MAX];

	return fail(err, E_NOT_FOUND, "No such manifest: %s", reference_text(ref, name));
}

/* ---- reading --------------------------------------------------------------- */

/* NULL where there is no such file. */
static int read_file(const char *path, struct arena *a, Imaged__V1__RemoteManifest **ret_manifest, struct err *err)
{
	json_t *json = NULL;
	int r = json_file_read(path, &json, err);

	*ret_manifest = NULL;
	if (r == OK && json)
		r = manifest_json_read(json, a, ret_manifest, err);
	json_decref(json);
	return r < 0 ? err_wrap(err, "invalid manifest file %s", path) : OK;
}

/* What is being written has a name that begins with a dot. */
static int is_manifest(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

struct names {
	struct dirent **items;
	int n;
};

static void names_free(struct names *l)
{
	for (int i = 0; i < l->n; i++)
		free(l->items[i]);
	free(l->items);
}

static int read_names(const char *path, const struct reference *list, struct names *ret_names, struct err *err)
{
	int n = scandir(path, &ret_names->items, is_manifest, by_bytes);

	if (n < 0 && (errno == ENOENT || errno == ENOTDIR))
		return fail_missing(list, err);
	if (n < 0)
		return fail_file(err, "open", path);
	ret_names->n = n;
	if (n > MANIFEST_LIST_MAX)
		return fail(err, E_LIMIT, "%s holds more than %d manifests", path, MANIFEST_LIST_MAX);
	return OK;
}

static int add_file(const char *directory, const char *name, struct arena *a, struct manifest_list *l, struct err *err)
{
	CLEANUP(freep) char *path = format("%s/%s", directory, name);

	if (!path)
		return fail_nomem(err);
	if (read_file(path, a, &l->items[l->n], err) < 0)
		return err->code;
	l->n += l->items[l->n] != NULL;
	return OK;
}

int manifest_store_list(const char *root, const struct reference *list, struct arena *a, struct manifest_list *ret_list,
			struct err *err)
{
	CLEANUP(names_free) struct names names = { .n = 0 };
	CLEANUP(freep) char *path = list_path(root, list);
	struct manifest_list l = { .n = 0 };

	if (!path)
		return fail_nomem(err);
	if (read_names(path, list, &names, err) < 0)
		return err->code;
	l.items = arena_array(a, (size_t)names.n + 1, sizeof(*l.items));
	if (!l.items)
		return fail_nomem(err);
	for (int i = 0; i < names.n; i++)
		if (add_file(path, names.items[i]->d_name, a, &l, err) < 0)
			return err->code;
	*ret_list = l;
	return OK;
}

/* Two references may share a file's name: what is in it tells. */
int manifest_store_get(const char *root, const struct reference *list, const struct reference *manifest,
		       struct arena *a, Imaged__V1__RemoteManifest **ret_manifest, struct err *err)
{
	CLEANUP(freep) char *directory = list_path(root, list), *path = NULL;
	char name[REFERENCE_TEXT_MAX];
	Imaged__V1__RemoteManifest *m;

	path = directory ? format("%s/%s", directory, file_name(manifest, name)) : NULL;
	if (!path)
		return fail_nomem(err);
	if (read_file(path, a, &m, err) < 0)
		return err->code;
	if (!m || strcmp(m->reference, reference_text(manifest, name)) != 0)
		return fail_missing(manifest, err);
	*ret_manifest = m;
	return OK;
}

/* ---- writing --------------------------------------------------------------- */

static int write_file(const char *path, const struct buf *text, struct err *err)
{
	CLEANUP(output_file_drop) struct output_file f = OUTPUT_FILE_INIT;

	if (output_file_open(path, &f, err) < 0 || output_file_write(&f, text->data, text->len, err) < 0)
		return err->code;
	return output_file_finish(&f, err);
}

int manifest_store_put(const char *root, const struct reference *list, const struct reference *manifest,
		       const Imaged__V1__RemoteManifest *m, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(JSON_FILE_MAX);
	CLEANUP(freep) char *directory = list_path(root, list), *path = NULL;
	char name[REFERENCE_TEXT_MAX];

	path = directory ? format("%s/%s", directory, file_name(manifest, name)) : NULL;
	if (!path)
		return fail_nomem(err);
	manifest_json_put(&text, m);
	if (!buf_ok(&text))
		return fail_nomem(err);
	if (make_directories_for(path, err) < 0)
		return err->code;
	return write_file(path, &text, err);
}

int manifest_store_remove(const char *root, const struct reference *list, struct err *err)
{
	CLEANUP(names_free) struct names names = { .n = 0 };
	CLEANUP(freep) char *path = list_path(root, list);
	int r = path ? read_names(path, list, &names, err) : fail_nomem(err);

	if (r == E_NOT_FOUND)
		return OK;
	for (int i = 0; r == OK && i < names.n; i++) {
		CLEANUP(freep) char *file = format("%s/%s", path, names.items[i]->d_name);

		if (!file)
			return fail_nomem(err);
		if (unlink(file) < 0 && errno != ENOENT)
			return fail_file(err, "unlinkat", file);
	}
	if (r == OK && rmdir(path) < 0 && errno != ENOENT)
		return fail_file(err, "unlinkat", path);
	return r;
}
