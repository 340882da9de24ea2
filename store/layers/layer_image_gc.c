#include <fcntl.h>
#include <sys/stat.h>

#include "store/content/content.h"
#include "store/gc/in_use.h"
#include "store/layers/layer_image_state.h"
#include "store/meta/scan.h"
#include "store/record.h"
#include "store/used.h"

enum { REMOVED_AT_ONCE = META_TXN_OPS / 2 };

/* ---- whether somebody needs one --------------------------------------------------- */

/* One that is missing is wanted as long as something needs it: a repair may have put it aside
 * and fetch it again, and the image is of use all the while. */
static int is_wanted(struct store *s, const struct digest *blob, bool *ret_wanted, struct err *err)
{
	const struct doomed dead = { .dead_leases = true };

	*ret_wanted = content_exists(s, blob, NULL);
	return *ret_wanted ? OK : blob_in_use(s, blob, &dead, ret_wanted, err);
}

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

		if (key_parse_diff(key_bytes(k), &same, &blob))
			r = is_wanted(s, &blob, ret_has, err);
		if (r != OK)
			return r;
	}
	return r;
}

/* ---- removal -------------------------------------------------------------------------- */

/* Records go together, as a durable transaction for each would cost more than all the
 * rest; then the files. The record first: a file without one is garbage, a record without
 * its file a lie. */
struct removal {
	struct store *store;
	int64_t *freed;
	struct meta_txn *txn;
	size_t n;
	struct digest diff_ids[REMOVED_AT_ONCE];
	uint32_t versions[REMOVED_AT_ONCE];
};

/* Whoever commits this image has written its layer's record before (layer_image.h), so
 * that what has neither record nor blob is nobody's. */
static void unlink_one(struct removal *r, const struct digest *diff_id, uint32_t version)
{
	char path[LAYER_PATH_MAX];
	struct stat st = { 0 };
	bool has = true;

	layer_image_path(diff_id, version, path);
	digest_lock(r->store, diff_id);
	if (!layer_image_exists(r->store, diff_id, version) && has_blob(r->store, diff_id, &has, NULL) == OK && !has &&
	    !used_unlink_layer(r->store, r->store->layers_fd, path, &st) && st.st_nlink == 1)
		*r->freed += (int64_t)st.st_size;
	digest_unlock(r->store, diff_id);
}

static int remove_noted(struct removal *r, struct err *err)
{
	size_t n = r->n;
	int rc;

	r->n = 0;
	if (!n)
		return OK;
	meta_txn_use_reserve(r->txn);
	rc = meta_txn_commit(r->store->local, r->txn, NULL, err);
	if (rc == E_ABORTED) /* one came back: the next audit takes the others */
		return OK;
	for (size_t i = 0; rc == OK && i < n; i++)
		unlink_one(r, &r->diff_ids[i], r->versions[i]);
	return rc;
}

static int note(struct removal *r, const struct key *k, uint64_t revision, struct err *err)
{
	struct digest *diff_id = &r->diff_ids[r->n];
	bool has = false;
	int rc;

	if (!key_parse_layer_image(key_bytes(k), diff_id, &r->versions[r->n]))
		return OK;
	rc = has_blob(r->store, diff_id, &has, err);
	if (rc != OK || has)
		return rc;
	meta_txn_compare(r->txn, key_bytes(k), revision);
	meta_txn_delete(r->txn, key_bytes(k));
	return ++r->n == REMOVED_AT_ONCE ? remove_noted(r, err) : OK;
}

static int note_range(struct removal *r, struct key prefix, struct cancel *cancel, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	const struct key *k;
	uint64_t revision;
	int rc;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, r->store->local, &prefix);
	while ((rc = meta_scan_next(scan, &k, &revision, err)) == OK && k) {
		rc = cancel_check(cancel, err);
		if (rc == OK)
			rc = note(r, k, revision, err);
		if (rc != OK)
			return rc;
	}
	return rc;
}

static void removal_release(struct removal *r)
{
	meta_txn_free(r->txn);
}

int layer_images_release(struct store *s, const struct digest *diff_ids, size_t n, int64_t *freed, struct err *err)
{
	CLEANUP(removal_release) struct removal r = { .store = s, .freed = freed, .txn = meta_txn_new() };
	int rc = r.txn ? OK : fail_nomem(err);

	for (size_t i = 0; rc == OK && i < n; i++)
		rc = note_range(&r, key_layer_image_prefix(&diff_ids[i]), NULL, err);
	return rc == OK ? remove_noted(&r, err) : rc;
}

static int release_all(struct store *s, struct cancel *cancel, int64_t *freed, struct err *err)
{
	CLEANUP(removal_release) struct removal r = { .store = s, .freed = freed, .txn = meta_txn_new() };
	int rc = r.txn ? OK : fail_nomem(err);

	if (rc == OK)
		rc = note_range(&r, key_layer_image_prefix(NULL), cancel, err);
	return rc == OK ? remove_noted(&r, err) : rc;
}

/* ---- of other versions --------------------------------------------------------------- */

/* One that cannot be read is for the check to tell. */
static int drop_version(struct store *s, const struct digest *diff_id, uint32_t version, int64_t *freed,
			struct err *err)
{
	struct layer_image_entry entry;
	int r = layer_image_entry(s, diff_id, version, &entry, err);

	if (r == OK)
		r = layer_image_drop(s, &entry, err);
	if (r == OK)
		*freed += entry.facts.image_size;
	return r == E_NOT_FOUND || r == E_CORRUPT || r == E_ABORTED ? OK : r;
}

int layer_images_sweep_versions(struct store *s, uint32_t writer_version, struct cancel *cancel, int64_t *freed,
				struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_layer_image_prefix(NULL);
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->local, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k) {
		struct digest diff_id;
		uint32_t version;

		r = cancel_check(cancel, err);
		if (r == OK && key_parse_layer_image(key_bytes(k), &diff_id, &version) && version != writer_version)
			r = drop_version(s, &diff_id, version, freed, err);
		if (r != OK)
			return r;
	}
	return r;
}

/* ---- files that nobody knows of ---------------------------------------------------------- */

static int64_t linked_ns(const struct stat *st)
{
	return (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}

/* With the lock of its diff ID, if it has one. What has another name is not freed. */
static void remove_old(int dir_fd, const char *name, int64_t older_than_ns, int64_t *freed)
{
	struct stat st;

	if (!fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode) && linked_ns(&st) < older_than_ns &&
	    !unlinkat(dir_fd, name, 0) && st.st_nlink == 1)
		*freed += (int64_t)st.st_size;
}

static bool begins_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
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

/* What is on its way in stays however long it takes, and nobody goes on with what another
 * run has left. */
static int sweep_top(const struct sweep *w, int dir_fd, const char *name, struct err *err)
{
	char ours[LAYER_NEW_PREFIX_MAX];
	struct sweep below = *w;

	if (begins_with(name, layer_image_new_prefix_of_any)) {
		if (!begins_with(name, layer_image_new_prefix(w->store, ours)))
			remove_old(dir_fd, name, INT64_MAX, w->freed);
		return OK;
	}
	below.algorithm = name;
	return each_name(&below, dir_fd, name, sweep_shard, err);
}

int layer_images_sweep(struct store *s, int64_t older_than_ns, struct cancel *cancel, int64_t *freed, struct err *err)
{
	const struct sweep w = { .store = s, .older_than_ns = older_than_ns, .freed = freed, .cancel = cancel };
	int r = release_all(s, cancel, freed, err);

	return r == OK ? each_name(&w, s->layers_fd, ".", sweep_top, err) : r;
}
