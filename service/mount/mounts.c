#include "service/mount/mounts_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "proto/runtime/clock.h"
#include "service/mount/fuse.h"
#include "store/gc/lease.h"
#include "store/record.h"

/* ---- new and free ------------------------------------------------------------------- */

static int open_directory(struct mounts *m, struct err *err)
{
	CLEANUP(freep) char *path = format("%s/mounts", store_root(m->store));

	if (!path)
		return fail_nomem(err);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return fail_errno(err, "create directory '%s'", path);
	m->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return m->directory < 0 ? fail_errno(err, "open directory '%s'", path) : OK;
}

int mounts_new(struct store *s, struct mounts **ret_mounts, struct err *err)
{
	struct mounts *m = calloc(1, sizeof *m);
	int r = OK;

	if (!m)
		return fail_nomem(err);
	m->store = s;
	m->directory = -1;
	pthread_mutex_init(&m->mu, NULL);
	pthread_mutex_init(&m->probing, NULL);
	layer_cache_init(&m->layers);
	if (!store_read_only(s))
		r = open_directory(m, err);
	if (r == OK)
		*ret_mounts = m;
	else
		mounts_free(m);
	return r;
}

void mounts_free(struct mounts *m)
{
	if (!m)
		return;
	closep(&m->directory);
	layer_cache_free(&m->layers);
	pthread_mutex_destroy(&m->mu);
	pthread_mutex_destroy(&m->probing);
	free(m);
}

/* ---- ways ------------------------------------------------------------------------------ */

static void probe(struct mounts *m)
{
	CLEANUP(freep) char *path = format("%s/mounts", store_root(m->store));

	if (m->directory < 0)
		snprintf(m->probe.problem, sizeof m->probe.problem, "the store is read-only");
	else if (path)
		probe_ways(m->directory, path, &m->probe);
	m->probed = m->directory < 0 || path;
}

const struct probe *mounts_probe(struct mounts *m)
{
	pthread_mutex_lock(&m->probing);
	if (!m->probed)
		probe(m);
	pthread_mutex_unlock(&m->probing);
	return &m->probe;
}

static int choose_way(struct mounts *m, Imaged__V1__MountWay wanted, Imaged__V1__MountWay *ret_way, struct err *err)
{
	const struct probe *p = mounts_probe(m);

	if (!p->n_ways)
		return fail(err, E_CANNOT_MOUNT, "images cannot be mounted here: %s", p->problem);
	if (wanted != IMAGED__V1__MOUNT_WAY__MOUNT_WAY_UNSPECIFIED && !probe_has(p, wanted))
		return fail(err, E_CANNOT_MOUNT, "images cannot be mounted here by '%s': %s", way_name(wanted),
			    p->problem);
	*ret_way = wanted ? wanted : p->ways[0];
	return OK;
}

/* ---- mount ------------------------------------------------------------------------------- */

static int check_content(struct store *s, const struct mount_request *q, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	for (size_t i = 0; i < q->n_blobs; i++)
		if (!content_claim(s, &q->blobs[i], NULL))
			return fail(err, E_NOT_FOUND, "content %s is missing: pull the image again",
				    digest_text(&q->blobs[i], text));
	return OK;
}

static int fill_record(struct arena *a, const struct mount_request *q, Imaged__V1__MountWay way, const char *target,
		       Imaged__Store__V1__MountRecord *record, struct err *err)
{
	imaged__store__v1__mount_record__init(record);
	record->target = (ProtobufCBinaryData){ strlen(target), (uint8_t *)arena_string(a, target) };
	record->image = arena_string(a, q->image);
	record->read_write = q->read_write;
	record->allow_devices = q->allow_devices;
	record->allow_setuid = q->allow_setuid;
	record->way = (int32_t)way;
	record->layers = (int64_t)q->n_layers;
	record->created_ns = clock_wall_ns();
	if (!record->target.data || !record->image || !digest_to_data(&q->manifest, a, &record->manifest) ||
	    !digest_to_data(&q->config, a, &record->config))
		return fail_nomem(err);
	return OK;
}

static bool is_target(const struct mount_entry *e, const char *target)
{
	return e->record->target.len == strlen(target) && !memcmp(e->record->target.data, target, strlen(target));
}

/* Of the claimed directory: a record there is one of a mount that stands, or is dropped. */
static int check_free(struct mounts *m, const char *target, struct arena *arena, struct err *err)
{
	struct mount_entry *entries;
	char point[PATH_MAX], id[MOUNT_ID_TEXT_MAX];
	int64_t freed;
	bool covered;
	size_t n;

	if (mount_records_read(m->store, arena, &entries, &n, err) < 0)
		return err->code;
	if (n >= MOUNTS_MAX)
		return fail(err, E_LIMIT, "%d images are mounted already: unmount one first", MOUNTS_MAX);
	for (size_t i = 0; i < n; i++) {
		if (!is_target(&entries[i], target))
			continue;
		if (mounts_find(&entries[i], point, &covered, err) < 0)
			return err->code;
		if (*point)
			return fail(err, E_EXISTS, "image '%s' is mounted at '%s' (mount %s): unmount it first",
				    entries[i].record->image, target, mount_id_text(&entries[i].id, id));
		if (mounts_drop(m, &entries[i], &freed, err) < 0)
			return err->code;
	}
	return OK;
}

static int mount_claimed(struct mounts *m, const struct mount_request *q, Imaged__V1__MountWay way,
			 const struct target *target, struct cancel *cancel, struct arena *arena,
			 struct mount_entry *ret_entry, struct err *err)
{
	Imaged__Store__V1__MountRecord *record = arena_alloc(arena, sizeof *record);
	int64_t freed;
	int r;

	if (!record)
		return fail_nomem(err);
	if (check_free(m, target->path, arena, err) < 0 || fill_record(arena, q, way, target->path, record, err) < 0 ||
	    mount_record_begin(m->store, record, q->blobs, q->n_blobs, &ret_entry->id, err) < 0)
		return err->code;
	ret_entry->record = record;
	r = check_content(m->store, q, err);
	if (r == OK)
		r = mounts_make(m, &ret_entry->id, q, way, target, cancel, err);
	if (r == OK)
		r = mount_record_commit(m->store, &ret_entry->id, err);
	if (r != OK)
		mounts_drop(m, ret_entry, &freed, NULL); /* else the next start does it */
	record->committed = r == OK;
	return r;
}

int mounts_mount(struct mounts *m, const struct mount_request *request, struct cancel *cancel, struct arena *arena,
		 struct mount_entry *ret_entry, struct err *err)
{
	CLEANUP(target_close) struct target target = TARGET_INIT;
	struct claim claim = { .target = target.path };
	Imaged__V1__MountWay way = IMAGED__V1__MOUNT_WAY__MOUNT_WAY_UNSPECIFIED;
	int r;

	if (target_open(request->target, store_root(m->store), &target, err) < 0 ||
	    choose_way(m, request->way, &way, err) < 0)
		return err->code;
	if (!claim_begin(m, &claim))
		return fail(err, E_CONFLICT, "another call works on '%s' just now: try again", target.path);
	r = mount_claimed(m, request, way, &target, cancel, arena, ret_entry, err);
	claim_end(m, &claim);
	return r;
}

/* ---- unmount ------------------------------------------------------------------------------ */

static int find_entry(struct mounts *m, struct bytes which, struct arena *arena, struct mount_entry *ret_entry,
		      struct err *err)
{
	struct mount_entry *entries;
	char target[PATH_MAX];
	struct mount_id id;
	bool by_id = mount_id_parse(which, &id);
	size_t n;

	if (!by_id)
		target_canonical(which, target);
	if (mount_records_read(m->store, arena, &entries, &n, err) < 0)
		return err->code;
	for (size_t i = 0; i < n; i++)
		if (by_id ? mount_id_eq(&entries[i].id, &id) : is_target(&entries[i], target)) {
			*ret_entry = entries[i];
			return OK;
		}
	return fail(err, E_NOT_FOUND, "no image is mounted at '%.*s', and no mount has that ID: see 'image mounts'",
		    (int)which.len, (const char *)which.data);
}

static int take_down(const struct mount_entry *e, bool lazy, struct err *err)
{
	char point[PATH_MAX];
	bool covered;

	if (mounts_find(e, point, &covered, err) < 0)
		return err->code;
	if (!*point)
		return OK; /* somebody else did */
	if (covered)
		return fail(err, E_CONFLICT, "something else is mounted over '%s': unmount that first", point);
	return unmount_at(point, lazy, err);
}

int mounts_unmount(struct mounts *m, struct bytes which, bool lazy, struct arena *arena, struct mount_entry *ret_entry,
		   int64_t *ret_freed, struct err *err)
{
	struct claim claim;
	int r;

	if (m->directory < 0)
		return fail(err, E_READ_ONLY, "root '%s' is read-only", store_root(m->store));
	if (find_entry(m, which, arena, ret_entry, err) < 0)
		return err->code;
	claim.target = arena_bytes(arena,
				   (struct bytes){ ret_entry->record->target.data, ret_entry->record->target.len });
	if (!claim.target)
		return fail_nomem(err);
	if (!claim_begin(m, &claim))
		return fail(err, E_CONFLICT, "another call works on '%s' just now: try again", claim.target);
	r = find_entry(m, which, arena, ret_entry, err); /* as it is now */
	if (r == OK)
		r = take_down(ret_entry, lazy, err);
	if (r == OK)
		r = mounts_drop(m, ret_entry, ret_freed, err);
	claim_end(m, &claim);
	return r;
}

/* ---- list ------------------------------------------------------------------------------------ */

int mounts_list(struct mounts *m, struct arena *arena, struct mount_entry **ret_entries, size_t *ret_n, struct err *err)
{
	struct mount_entry *entries;
	size_t found, n = 0;
	bool *stands;

	if (mount_records_read(m->store, arena, &entries, &found, err) < 0 ||
	    mounts_standing(entries, found, arena, &stands, err) < 0)
		return err->code;
	for (size_t i = 0; i < found; i++)
		if (stands[i] && entries[i].record->committed)
			entries[n++] = entries[i];
	*ret_entries = entries;
	*ret_n = n;
	return OK;
}
