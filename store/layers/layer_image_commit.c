#include <assert.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "store/content/shard.h"
#include "store/layers/layer_image_state.h"
#include "store/record.h"
#include "store/used.h"

struct batch {
	struct store *store;
	struct layer_image *const *images;
	const struct digest *diff_ids;
	size_t n;
};

static int fail_commit(const struct batch *b, size_t k, struct err *err, const char *what)
{
	char text[DIGEST_TEXT_MAX];

	return store_fail_errno(b->store, b->images[k]->facts.image_size, err, "%s the image of layer %s", what,
				digest_text(&b->diff_ids[k], text));
}

/* ---- sync ---------------------------------------------------------------------- */

static int written_back(int fd)
{
	int rc = sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE);

	return rc && errno == ENOSYS ? fsync(fd) : rc;
}

static size_t count_images(const struct batch *b)
{
	size_t n = 0;

	for (size_t k = 0; k < b->n; k++)
		n += b->images[k] != NULL;
	return n;
}

/* By a descriptor of this call alone: an error is told to each only once. */
static bool sync_file_system(const struct store *s)
{
	CLEANUP(closep) int fd = openat(s->layers_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && !syncfs(fd);
}

/* As content's (commit.c): each file is asked for its own errors. Parked ones were synced. */
static int sync_data(const struct batch *b, struct err *err)
{
	bool all = count_images(b) > SYNC_SINGLY_MAX && sync_file_system(b->store);

	for (size_t k = 0; k < b->n; k++) {
		int fd = b->images[k] ? b->images[k]->fd : -1;

		if (fd >= 0 && (all ? written_back(fd) : fsync(fd)))
			return fail_commit(b, k, err, "sync");
	}
	return OK;
}

/* ---- into place ------------------------------------------------------------------ */

int layer_image_make_dirs(struct store *s, const struct digest *diff_id)
{
	char path[LAYER_PATH_MAX];

	if (mkdirat(s->layers_fd, digest_algorithm_name((enum digest_algorithm)diff_id->algorithm), 0700) &&
	    errno != EEXIST)
		return -1;
	return mkdirat(s->layers_fd, layer_image_shard(diff_id, path), 0700) && errno != EEXIST ? -1 : 0;
}

static int link_file(const struct layer_image *i, const char *path)
{
	char self[64];
	int rc;

	snprintf(self, sizeof self, "/proc/self/fd/%d", i->fd);
	rc = i->name[0] ? linkat(i->store->layers_fd, i->name, i->store->layers_fd, path, 0)
			: linkat(AT_FDCWD, self, i->store->layers_fd, path, AT_SYMLINK_FOLLOW);
	if (!rc)
		used_add_layer(i->store, i->facts.image_size, 1);
	return rc;
}

/* Also by another call for the same image. */
static bool is_same_file(const struct layer_image *i, const char *path)
{
	struct stat own, there;
	int rc = i->fd >= 0 ? fstat(i->fd, &own) : fstatat(i->store->layers_fd, i->name, &own, AT_SYMLINK_NOFOLLOW);

	return !rc && !fstatat(i->store->layers_fd, path, &there, AT_SYMLINK_NOFOLLOW) && own.st_dev == there.st_dev &&
	       own.st_ino == there.st_ino;
}

/* A file without a record was left by somebody who could not write it, or is about to be
 * replaced by the same bytes: ours are known to be good. */
static int link_instead(const struct layer_image *i, const struct digest *diff_id, const char *path)
{
	if (layer_image_exists(i->store, diff_id, i->facts.writer_version) || is_same_file(i, path))
		return 0;
	if (used_unlink_layer(i->store, i->store->layers_fd, path, NULL) && errno != ENOENT)
		return -1;
	return link_file(i, path);
}

static int place(const struct layer_image *i, const struct digest *diff_id)
{
	char path[LAYER_PATH_MAX];
	int rc;

	layer_image_path(diff_id, i->facts.writer_version, path);
	rc = link_file(i, path);
	if (rc && errno == ENOENT && !layer_image_make_dirs(i->store, diff_id))
		rc = link_file(i, path);
	return rc && errno == EEXIST ? link_instead(i, diff_id, path) : rc;
}

static int place_all(const struct batch *b, struct err *err)
{
	for (size_t k = 0; k < b->n; k++) {
		int rc;

		if (!b->images[k])
			continue;
		assert(b->images[k]->sealed);
		digest_lock(b->store, &b->diff_ids[k]);
		rc = place(b->images[k], &b->diff_ids[k]);
		digest_unlock(b->store, &b->diff_ids[k]);
		if (rc)
			return fail_commit(b, k, err, "put into place");
	}
	return OK;
}

static int sync_dir(const struct store *s, const char *path)
{
	CLEANUP(closep) int fd = openat(s->layers_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -1 : fsync(fd);
}

/* 0 or -1 and errno. */
int layer_image_sync_dirs(struct store *s, const struct digest *diff_id)
{
	char path[LAYER_PATH_MAX];

	if (sync_dir(s, layer_image_shard(diff_id, path)) ||
	    sync_dir(s, digest_algorithm_name((enum digest_algorithm)diff_id->algorithm)))
		return -1;
	return fsync(s->layers_fd);
}

static int sync_shards(const struct batch *b, struct err *err)
{
	for (size_t k = 0; k < b->n; k++) {
		char path[LAYER_PATH_MAX];

		if (b->images[k] && sync_dir(b->store, layer_image_shard(&b->diff_ids[k], path)))
			return fail_commit(b, k, err, "sync the directory of");
	}
	return OK;
}

/* Directories of other algorithms than sha256 are synced as often as they have images. */
static int sync_above(const struct batch *b, struct err *err)
{
	uint8_t synced = DIGEST_NONE;

	for (size_t k = 0; k < b->n; k++) {
		uint8_t algorithm = b->diff_ids[k].algorithm;

		if (!b->images[k] || algorithm == synced)
			continue;
		if (sync_dir(b->store, digest_algorithm_name((enum digest_algorithm)algorithm)) ||
		    fsync(b->store->layers_fd))
			return fail_commit(b, k, err, "sync the directory of");
		synced = algorithm;
	}
	return OK;
}

static int sync_dirs(const struct batch *b, struct err *err)
{
	int r;

	/* An error of syncfs may be about a file of somebody else: then one by one. */
	if (count_images(b) > SYNC_SINGLY_MAX && sync_file_system(b->store))
		return OK;
	r = sync_shards(b, err);
	return r == OK ? sync_above(b, err) : r;
}

/* ---- records ----------------------------------------------------------------------- */

int layer_image_put_record(struct meta_txn *t, const struct layer_image *i, const struct digest *diff_id,
			   struct err *err)
{
	Imaged__Store__V1__LayerImageRecord record = IMAGED__STORE__V1__LAYER_IMAGE_RECORD__INIT;
	struct key k = key_layer_image(diff_id, i->facts.writer_version);

	record.size = i->facts.image_size;
	record.inodes = i->facts.inodes;
	record.root_is_opaque = i->facts.root_is_opaque;
	return record_put(t, &k, &record.base, err);
}

static int put_records(const struct batch *b, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	int r = t ? OK : fail_nomem(err);

	for (size_t k = 0; r == OK && k < b->n; k++) {
		if (b->images[k])
			r = layer_image_put_record(t, b->images[k], &b->diff_ids[k], err);
		if (r == OK && (k + 1 == b->n || !meta_txn_room(t)) && meta_txn_ops(t))
			r = meta_txn_commit(b->store->local, t, NULL, err);
	}
	return r;
}

/* ---- a commit that failed --------------------------------------------------------------- */

/* An unnamed file that has had a name gets no other one after it: it goes back under one of
 * those on their way in, so that others may still commit it. */
static void put_aside(struct layer_image *i, const char *path)
{
	int at = i->store->layers_fd;

	if (i->name[0]) {
		used_unlink_layer(i->store, at, path, NULL);
		return;
	}
	if (!layer_image_choose_name(i) || renameat(at, path, at, i->name))
		i->name[0] = 0;
	else
		used_add_layer(i->store, -i->facts.image_size, -1);
}

/* What is in place without a record would take its room for long, perhaps of a disk that is
 * full. Another call that has put the same file there counts on it. */
static void take_back(struct layer_image *i, const struct digest *diff_id)
{
	uint32_t version = i->facts.writer_version;
	char path[LAYER_PATH_MAX];

	layer_image_path(diff_id, version, path);
	digest_lock(i->store, diff_id);
	if (i->commits == 1 && is_same_file(i, path) && !layer_image_exists(i->store, diff_id, version))
		put_aside(i, path);
	digest_unlock(i->store, diff_id);
}

static void begin(const struct batch *b)
{
	for (size_t k = 0; k < b->n; k++)
		if (b->images[k])
			b->images[k]->commits++;
}

static void end(const struct batch *b, int r)
{
	for (size_t k = 0; k < b->n; k++) {
		if (!b->images[k])
			continue;
		if (r != OK)
			take_back(b->images[k], &b->diff_ids[k]);
		b->images[k]->commits--;
	}
}

static int commit(const struct batch *b, struct err *err)
{
	int r = sync_data(b, err);

	if (r == OK)
		r = place_all(b, err);
	if (r == OK)
		r = sync_dirs(b, err);
	return r == OK ? put_records(b, err) : r;
}

int layer_images_commit(struct store *s, struct layer_image *const *images, const struct digest *diff_ids, size_t n,
			struct err *err)
{
	const struct batch b = { s, images, diff_ids, n };
	int r = store_writable(s, err);

	if (r != OK || !count_images(&b))
		return r;
	begin(&b);
	r = commit(&b, err);
	end(&b, r);
	return r;
}
