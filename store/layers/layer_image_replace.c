/* Images that turned out to be damaged or missing: another one in their place, or none. */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>

#include "store/layers/layer_image_state.h"
#include "store/used.h"

static int fail_replace(const struct layer_image *i, const struct digest *diff_id, const char *what, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	return store_fail_errno(i->store, i->facts.image_size, err, "%s the image of layer %s", what,
				digest_text(diff_id, text));
}

/* The image is complete under its name, whatever happens in between. */
static int rename_into_place(struct layer_image *i, const struct digest *diff_id)
{
	int at = i->store->layers_fd;
	char path[LAYER_PATH_MAX];
	struct stat old;
	bool there;

	layer_image_path(diff_id, i->facts.writer_version, path);
	there = !fstatat(at, path, &old, AT_SYMLINK_NOFOLLOW);
	if (renameat(at, i->name, at, path) &&
	    (errno != ENOENT || layer_image_make_dirs(i->store, diff_id) || renameat(at, i->name, at, path)))
		return -1;
	used_add_layer(i->store, i->facts.image_size - (there ? (int64_t)old.st_size : 0), !there);
	i->name[0] = 0;
	return 0;
}

static struct key key_of(const struct layer_image_entry *entry)
{
	return key_layer_image(&entry->diff_id, entry->facts.writer_version);
}

static int put_record(struct store *s, const struct layer_image *i, const struct layer_image_entry *entry,
		      struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key k = key_of(entry);

	if (!t)
		return fail_nomem(err);
	meta_txn_compare(t, key_bytes(&k), entry->revision);
	if (layer_image_put_record(t, i, &entry->diff_id, err) < 0)
		return err->code;
	return meta_txn_commit(s->local, t, NULL, err);
}

/* Under the lock of the diff ID, so that nobody puts one there that is lost with ours. A
 * record that changes in between says so itself, and what is in its place is sound. */
static int replace_locked(struct store *s, struct layer_image *i, const struct layer_image_entry *entry,
			  struct err *err)
{
	struct layer_image_entry now;
	int r = layer_image_entry(s, &entry->diff_id, entry->facts.writer_version, &now, err);

	if (r == E_NOT_FOUND || (r == OK && now.revision != entry->revision))
		return fail(err, E_ABORTED, "layer's image was changed meanwhile");
	if (r != OK)
		return r;
	if (rename_into_place(i, &entry->diff_id))
		return fail_replace(i, &entry->diff_id, "put into place", err);
	if (layer_image_sync_dirs(s, &entry->diff_id))
		return fail_replace(i, &entry->diff_id, "sync the directory of", err);
	return put_record(s, i, entry, err);
}

int layer_image_replace(struct store *s, struct layer_image *i, const struct layer_image_entry *entry, struct err *err)
{
	int r = store_writable(s, err);

	assert(i->facts.writer_version == entry->facts.writer_version);
	if (r == OK)
		r = layer_image_park(i, err);
	if (r != OK)
		return r;
	digest_lock(s, &entry->diff_id);
	r = replace_locked(s, i, entry, err);
	digest_unlock(s, &entry->diff_id);
	return r;
}

static int drop_locked(struct store *s, const struct layer_image_entry *entry, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key k = key_of(entry);
	char path[LAYER_PATH_MAX];
	int r;

	if (!t)
		return fail_nomem(err);
	meta_txn_use_reserve(t);
	meta_txn_compare(t, key_bytes(&k), entry->revision);
	meta_txn_delete(t, key_bytes(&k));
	r = meta_txn_commit(s->local, t, NULL, err);
	/* The record first: a file without one is garbage, a record without its file a lie. */
	if (r == OK)
		used_unlink_layer(s, s->layers_fd, layer_image_path(&entry->diff_id, entry->facts.writer_version, path),
				  NULL);
	return r;
}

int layer_image_drop(struct store *s, const struct layer_image_entry *entry, struct err *err)
{
	int r = store_writable(s, err);

	if (r != OK)
		return r;
	digest_lock(s, &entry->diff_id);
	r = drop_locked(s, entry, err);
	digest_unlock(s, &entry->diff_id);
	return r;
}
