/*
 * What the key of a step, or of a mount, says of files (build.md 2.1): of each its name below what
 * was named, type and mode, size, bytes, device, target and extended attributes; times never, owners where
 * they are kept. A context knows the sha256 of its files; those of a tree are read.
 */
#include <sys/stat.h>

#include "service/build/copy/copy.h"
#include "service/build/copy/copying.h"

enum { FORM = 1, ENTRY_MEMORY_MAX = 4 * 1024 * 1024, PIECE_BYTES = 256 * 1024 };

struct digesting {
	struct hasher hasher;
	struct cancel *cancel;
	struct arena arena; /* of one entry */
	struct buf target;
	uint8_t *piece;
};

static int begin(struct digesting *d, struct cancel *cancel, struct err *err)
{
	*d = (struct digesting){ .cancel = cancel, .target = BUF_INIT(2 * EROFS_TARGET_MAX) };
	arena_init(&d->arena, ENTRY_MEMORY_MAX);
	hasher_init(&d->hasher, DIGEST_SHA256);
	d->piece = malloc(PIECE_BYTES);
	return d->piece ? OK : fail_nomem(err);
}

static int end(struct digesting *d, int rc, struct digest *ret_digest)
{
	struct digest digest = hasher_final(&d->hasher);

	if (rc == OK)
		*ret_digest = digest;
	arena_free(&d->arena);
	buf_free(&d->target);
	free(d->piece);
	return rc;
}

static void add_number(struct digesting *d, uint64_t value)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
	hasher_update(&d->hasher, bytes, sizeof bytes);
}

static void add_bytes(struct digesting *d, struct bytes b)
{
	add_number(d, b.len);
	if (b.len)
		hasher_update(&d->hasher, b.data, b.len);
}

/* ---- an entry of a tree ------------------------------------------------------------------------ */

static int add_data(struct digesting *d, const struct source_entry *e, struct err *err)
{
	int rc = OK;

	for (uint64_t at = 0; rc == OK && at < e->size;) {
		size_t n = min_size(e->size - at, PIECE_BYTES);

		rc = cancel_check(d->cancel, err);
		if (rc == OK)
			rc = source_read(e, at, d->piece, n, err);
		if (rc == OK)
			hasher_update(&d->hasher, d->piece, n);
		at += n;
	}
	return rc;
}

static int add_xattrs(struct digesting *d, const struct source_entry *e, struct err *err)
{
	struct source_xattr *all;
	size_t n;
	int rc;

	arena_reset(&d->arena, ENTRY_MEMORY_MAX);
	rc = source_xattrs(e, &d->arena, &all, &n, err);
	if (rc != OK)
		return rc;
	add_number(d, n);
	for (size_t i = 0; i < n; i++) {
		add_bytes(d, bytes_of(all[i].name));
		add_bytes(d, all[i].value);
	}
	return OK;
}

static int add_of_tree(struct digesting *d, const struct source_entry *e, struct err *err)
{
	int rc;

	add_number(d, S_ISLNK(e->mode) ? S_IFLNK | 0777 : e->mode);
	add_number(d, (uint64_t)e->uid << 32 | e->gid);
	add_number(d, (uint64_t)e->major << 32 | e->minor);
	add_number(d, e->size);
	rc = add_xattrs(d, e, err);
	if (rc == OK && S_ISLNK(e->mode)) {
		rc = source_target(e, &d->target, err);
		add_bytes(d, buf_bytes(&d->target));
	}
	return rc == OK && S_ISREG(e->mode) ? add_data(d, e, err) : rc;
}

/* ---- entries ------------------------------------------------------------------------------------- */

static int add_entry(struct digesting *d, const struct source_entry *e, struct err *err)
{
	struct digest digest;
	int rc;

	add_bytes(d, e->path);
	if (!e->files->context)
		return add_of_tree(d, e, err);
	if (e->index == CONTEXT_NO_ENTRY) {
		add_number(d, e->mode);
		return OK;
	}
	rc = build_context_digest_entry(e->files->context, e->index, &digest, err);
	if (rc == OK)
		hasher_update(&d->hasher, digest.bytes, digest_len(&digest));
	return rc;
}

/* `with_top`: also of the directory itself, which COPY does not take over. */
static int add_item(struct digesting *d, const struct copy_item *item, bool with_top, struct err *err)
{
	CLEANUP(stream_closep) struct stream *s = NULL;
	const struct stream_entry *e = NULL;
	int rc = stream_open(item->files, item->path, item->filter, &s, err);

	add_bytes(d, S_ISDIR(item->mode) ? (struct bytes){ 0 } : item->name);
	while (rc == OK && (rc = stream_next(s, &e, err)) == OK && e) {
		rc = cancel_check(d->cancel, err);
		if (rc == OK && (e->e.path.len || with_top || !S_ISDIR(e->e.mode)))
			rc = add_entry(d, &e->e, err);
	}
	if (rc == OK && item->required && !stream_included(s))
		return source_fail_missing(item->files, bytes_of(item->required), err);
	add_number(d, UINT64_MAX); /* an end that no length of a path is */
	return rc;
}

int copy_source_digest(const struct copy_job *j, size_t source, struct digest *ret_digest, struct err *err)
{
	struct copy_items items = { .n = 0 };
	struct digesting d;
	struct arena arena;
	int rc = begin(&d, j->cancel, err);

	arena_init(&arena, COPY_MEMORY_MAX);
	add_number(&d, FORM);
	if (rc == OK)
		rc = copy_select(j, source, &arena, &items, err);
	for (size_t i = 0; rc == OK && i < items.n; i++)
		rc = add_item(&d, &items.all[i], false, err);
	arena_free(&arena);
	return end(&d, rc, ret_digest);
}

int copy_mount_digest(const struct copy_files *files, const char *path, struct cancel *cancel,
		      struct digest *ret_digest, struct err *err)
{
	struct copy_item item;
	struct digesting d;
	struct arena arena;
	int rc = begin(&d, cancel, err);

	arena_init(&arena, COPY_MEMORY_MAX);
	add_number(&d, FORM);
	if (rc == OK)
		rc = copy_select_path(files, path, cancel, &arena, &item, err);
	if (rc == OK)
		rc = add_item(&d, &item, true, err);
	arena_free(&arena);
	return end(&d, rc, ret_digest);
}
