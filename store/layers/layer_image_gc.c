#include <fcntl.h>
#include <sys/stat.h>

#include "store/content/content.h"
#include "store/layers/layer_image_state.h"
#include "store/meta/scan.h"
#include "store/record.h"

/* ---- whether somebody needs one --------------------------------------------------- */

static int has_blob(struct store *s, const struct digest *diff_id, bool *ret_has, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_diff_prefix(diff_id);
	const struct key *k;
	int r;

	*ret_has = false;
	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->local, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k && !*ret_has) {
		struct digest same, blob;

		*ret_has = key_parse_diff(key_bytes(k), &same, &blob) && content_exists(s, &blob, NULL);
	}
	return r;
}

/* ---- removal -------------------------------------------------------------------------- */

/* The record first: a file without one is garbage, a record without its file a lie. */
static int remove_one(struct store *s, const struct digest *diff_id, uint32_t version, int64_t *freed, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key k = key_layer_image(diff_id, version);
	char path[LAYER_PATH_MAX];
	struct stat st = { 0 };
	int r;

	if (!t)
		return fail_nomem(err);
	meta_txn_use_reserve(t);
	meta_txn_delete(t, key_bytes(&k));
	r = meta_txn_commit(s->local, t, NULL, err);
	if (r != OK)
		return r;
	layer_image_path(diff_id, version, path);
	if (!fstatat(s->layers_fd, path, &st, AT_SYMLINK_NOFOLLOW) && !unlinkat(s->layers_fd, path, 0))
		*freed += (int64_t)st.st_size;
	return OK;
}

/* With the lock of the diff ID. */
static int remove_unused(struct store *s, const struct digest *diff_id, uint32_t version, int64_t *freed,
			 struct err *err)
{
	bool has = false;
	int r = has_blob(s, diff_id, &has, err);

	return r == OK && !has ? remove_one(s, diff_id, version, freed, err) : r;
}

/* Of the range `prefix`; keys are read in pages, so that they may go meanwhile. */
static int release_range(struct store *s, struct key prefix, struct cancel *cancel, int64_t *freed, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->local, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		struct digest diff_id;
		uint32_t version;

		if (!key_parse_layer_image(key_bytes(k), &diff_id, &version))
			continue;
		r = cancel_check(cancel, err);
		if (r != OK)
			return r;
		digest_lock(s, &diff_id);
		r = remove_unused(s, &diff_id, version, freed, err);
		digest_unlock(s, &diff_id);
		if (r != OK)
			return r;
	}
	return r;
}

int layer_images_release(struct store *s, const struct digest *diff_id, int64_t *freed, struct err *err)
{
	return release_range(s, key_layer_image_prefix(diff_id), NULL, freed, err);
}

/* ---- files that nobody knows of ---------------------------------------------------------- */

static int64_t linked_ns(const struct stat *st)
{
	return (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}

/* With the lock of its diff ID, if it has one. */
static void remove_old(int dir_fd, const char *name, int64_t older_than_ns, int64_t *freed)
{
	struct stat st;

	if (!fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) && linked_ns(&st) < older_than_ns &&
	    !unlinkat(dir_fd, name, 0))
		*freed += (int64_t)st.st_size;
}

struct sweep {
	struct store *store;
	const char *algorithm;
	int64_t older_than_ns;
	int64_t *freed;
	struct cancel *cancel;
};

typedef int visit_name(const struct sweep *w, int dir_fd, const char *name, struct err *err);

static int each_name(const struct sweep *w, int at_fd, const char *path, visit_name *visit, struct err *err)
{
	int fd = openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = OK;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		closep(&fd);
		return errno == ENOENT || errno == ENOTDIR ? OK : fail_errno(err, "read directory of layers");
	}
	while (r == OK && dir_next(dir, &e) && e) {
		if (e->d_name[0] == '.')
			continue;
		r = cancel_check(w->cancel, err);
		if (r == OK)
			r = visit(w, fd, e->d_name, err);
	}
	closedir(dir);
	return r;
}

static int sweep_file(const struct sweep *w, int dir_fd, const char *name, struct err *err UNUSED)
{
	struct digest diff_id;
	uint32_t version;

	if (!layer_image_parse(w->algorithm, name, &diff_id, &version))
		return OK;
	digest_lock(w->store, &diff_id);
	if (!layer_image_exists(w->store, &diff_id, version))
		remove_old(dir_fd, name, w->older_than_ns, w->freed);
	digest_unlock(w->store, &diff_id);
	return OK;
}

static int sweep_shard(const struct sweep *w, int dir_fd, const char *name, struct err *err)
{
	return each_name(w, dir_fd, name, sweep_file, err);
}

static int sweep_top(const struct sweep *w, int dir_fd, const char *name, struct err *err)
{
	struct sweep below = *w;

	if (!strncmp(name, "new-", 4)) {
		remove_old(dir_fd, name, w->older_than_ns, w->freed);
		return OK;
	}
	below.algorithm = name;
	return each_name(&below, dir_fd, name, sweep_shard, err);
}

int layer_images_sweep(struct store *s, int64_t older_than_ns, struct cancel *cancel, int64_t *freed, struct err *err)
{
	const struct sweep w = { .store = s, .older_than_ns = older_than_ns, .freed = freed, .cancel = cancel };
	int r = release_range(s, key_layer_image_prefix(NULL), cancel, freed, err);

	return r == OK ? each_name(&w, s->layers_fd, ".", sweep_top, err) : r;
}
