#include <fcntl.h>

#include "proto/runtime/clock.h"
#include "store/contexts/context_state.h"
#include "store/record.h"

/* A use less than this ago need not be written down again. */
static const int64_t use_step_ns = INT64_C(60) * 1000000000;

/* ---- files that belong to none ------------------------------------------------------------ */

static bool is_named(const struct context *x, const char *name)
{
	char known[3][32];

	snprintf(known[0], sizeof known[0], "%016llx.list", (unsigned long long)x->names.list);
	snprintf(known[1], sizeof known[1], "%016llx.places", (unsigned long long)x->names.places);
	snprintf(known[2], sizeof known[2], "%016llx.pack", (unsigned long long)x->names.pack);
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(name, known[i]))
			return true;
	return false;
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

static DIR *open_directory(const struct store *s, const char *name)
{
	int fd = openat(s->contexts_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		closep(&fd);
	return dir;
}

/* `keep`: the context whose named files stay; NULL: none do. What stays behind is garbage
 * for the next time. */
static void sweep(const struct store *s, const char *directory, const struct context *keep)
{
	DIR *dir = open_directory(s, directory);
	struct dirent *e;

	if (!dir)
		return;
	while (dir_next(dir, &e) && e)
		if (!is_dots(e->d_name) && !(keep && is_named(keep, e->d_name)))
			unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
}

/* ---- load ------------------------------------------------------------------------------------ */

static int get_record(struct store *s, const struct digest *id, struct arena *arena,
		      Imaged__Store__V1__ContextRecord **ret_record, struct err *err)
{
	struct key k = key_context(id);
	ProtobufCMessage *m;
	int r;

	arena_init(arena, RECORD_ARENA_MAX);
	r = record_get(s->local, &k, &imaged__store__v1__context_record__descriptor, arena, &m, NULL, err);
	if (r == OK)
		*ret_record = (Imaged__Store__V1__ContextRecord *)m;
	return r;
}

static int open_files(struct context *x, const Imaged__Store__V1__ContextRecord *record, struct err *err)
{
	CLEANUP(context_list_unrefp) struct context_list *list = NULL;
	CLEANUP(context_pack_unrefp) struct context_pack *pack = NULL;
	struct store *s = x->contexts->store;
	struct digest digest;
	int r = digest_from_data(record->list_digest, &digest, err);

	if (r == OK)
		r = context_list_open(s, x->directory, record->list_number, &digest, &list, err);
	if (r == OK)
		r = context_pack_open(s, x->directory, record->pack_number, (uint64_t)record->pack_bytes, &pack, err);
	if (r != OK)
		return r;
	return context_files_open(s, x->directory, record->places_number, TAKE(list), TAKE(pack), &x->last, err);
}

static int load_record(struct context *x, const Imaged__Store__V1__ContextRecord *record, struct err *err)
{
	struct err why = ERR_INIT;
	int r = open_files(x, record, &why);

	if (r == E_NOT_FOUND || r == E_CORRUPT || r == E_IO)
		return context_remove(x->contexts, &x->id, err);
	if (r != OK)
		return fail(err, r, "%s", why.text);
	x->names = (struct context_names){ record->list_number, record->places_number, record->pack_number };
	x->created_ns = record->created_ns;
	return OK;
}

int context_load(struct context *x, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	Imaged__Store__V1__ContextRecord *record;
	int r = get_record(x->contexts->store, &x->id, &arena, &record, err);

	if (r == OK)
		r = load_record(x, record, err);
	else if (r == E_NOT_FOUND)
		r = OK;
	if (r == OK)
		sweep(x->contexts->store, x->directory, x);
	return r;
}

/* ---- save ------------------------------------------------------------------------------------- */

static int sync_files(struct context *x, struct context_files *f, struct err *err)
{
	const struct store *s = x->contexts->store;
	CLEANUP(closep)
	int fd = openat(s->contexts_fd, x->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fdatasync(context_list_file(f->list)->fd) || fdatasync(f->pack->file.fd) ||
	    fdatasync(f->file.fd) || fsync(fd) || fsync(s->contexts_fd))
		return store_fail_errno(x->contexts->store, 0, err, "sync the files of a build context");
	return OK;
}

static int put_record(struct context *x, struct context_files *f, uint64_t pack_end, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	Imaged__Store__V1__ContextRecord record = IMAGED__STORE__V1__CONTEXT_RECORD__INIT;
	struct key k = key_context(&x->id);
	int r;

	arena_init(&arena, RECORD_ARENA_MAX);
	if (!t || !digest_to_data(context_list_digest(f->list), &arena, &record.list_digest))
		return fail_nomem(err);
	record.list_number = context_list_file(f->list)->number;
	record.places_number = f->file.number;
	record.pack_number = f->pack->file.number;
	record.entries = context_list_count(f->list);
	record.list_bytes = context_list_bytes(f->list);
	record.pack_bytes = (int64_t)pack_end;
	record.live_bytes = (int64_t)f->live;
	record.last_used_ns = clock_wall_ns();
	record.created_ns = x->created_ns ? x->created_ns : record.last_used_ns;
	r = record_put(t, &k, &record.base, err);
	if (r == OK)
		r = meta_txn_commit(x->contexts->store->local, t, NULL, err);
	if (r == OK)
		x->created_ns = record.created_ns;
	return r;
}

static void keep_files(struct context *x, struct context_files *f)
{
	context_list_file(f->list)->kept = f->file.kept = f->pack->file.kept = true;
	x->names = (struct context_names){ context_list_file(f->list)->number, f->file.number, f->pack->file.number };
}

/* What the record before has named, and this one does not. */
static void drop_files(struct context *x, const struct context_names *old)
{
	const struct {
		uint64_t old, new;
		const char *kind;
	} all[] = {
		{ old->list, x->names.list, "list" },
		{ old->places, x->names.places, "places" },
		{ old->pack, x->names.pack, "pack" },
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		char path[CONTEXT_FILE_PATH_MAX];

		if (!all[i].old || all[i].old == all[i].new)
			continue;
		snprintf(path, sizeof path, "%.64s/%016llx.%s", x->directory, (unsigned long long)all[i].old,
			 all[i].kind);
		unlinkat(x->contexts->store->contexts_fd, path, 0);
	}
}

static bool is_saved(const struct context *x, const struct context_files *f)
{
	return !f->changed && x->names.places == f->file.number;
}

static int save_use(struct context *x, struct context_files *f, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	Imaged__Store__V1__ContextRecord *record;
	int r = get_record(x->contexts->store, &x->id, &arena, &record, err);

	if (r != OK || clock_wall_ns() - record->last_used_ns < use_step_ns)
		return r;
	return put_record(x, f, (uint64_t)record->pack_bytes, err);
}

int context_save(struct context *x, struct context_files *f, struct err *err)
{
	struct context_names old = x->names;
	uint64_t pack_end = context_pack_end(f->pack);
	bool changed;
	int r;

	pthread_mutex_lock(&f->mu);
	changed = !is_saved(x, f);
	f->changed = false; /* what comes from now on is not in this one */
	pthread_mutex_unlock(&f->mu);
	if (!changed)
		return save_use(x, f, err);
	/* Room that was given out and not filled yet must be there when it is opened again. */
	r = ftruncate(f->pack->file.fd, (off_t)pack_end)
		    ? store_fail_errno(x->contexts->store, 0, err, "size of a pack")
		    : sync_files(x, f, err);
	if (r == OK)
		r = put_record(x, f, pack_end, err);
	if (r != OK) {
		pthread_mutex_lock(&f->mu);
		f->changed = true;
		pthread_mutex_unlock(&f->mu);
		return r;
	}
	keep_files(x, f);
	drop_files(x, &old);
	return OK;
}

/* ---- remove ------------------------------------------------------------------------------------- */

int context_remove(struct contexts *c, const struct digest *id, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key k = key_context(id);
	char directory[DIGEST_TEXT_MAX];
	int r;

	if (!t)
		return fail_nomem(err);
	meta_txn_delete(t, key_bytes(&k));
	meta_txn_use_reserve(t);
	r = meta_txn_commit(c->store->local, t, NULL, err);
	if (r != OK)
		return r;
	digest_hex(id, directory);
	sweep(c->store, directory, NULL);
	unlinkat(c->store->contexts_fd, directory, AT_REMOVEDIR);
	return OK;
}

/* Directories of contexts that were never committed, or whose removal was cut off. */
static void remove_orphan(struct contexts *c, const char *name)
{
	char text[DIGEST_TEXT_MAX];
	struct digest id;
	struct context *x;
	struct key k;
	uint64_t revision;

	snprintf(text, sizeof text, "sha256:%.64s", name);
	if (strlen(name) != 64 || digest_parse(text, &id, NULL) != OK || !context_seize(c, &id, &x))
		return;
	k = key_context(&id);
	if (record_revision(c->store->local, &k, &revision, NULL) == E_NOT_FOUND) {
		sweep(c->store, name, NULL);
		unlinkat(c->store->contexts_fd, name, AT_REMOVEDIR);
	}
	context_release(x);
}

void contexts_sweep(struct contexts *c)
{
	DIR *dir = open_directory(c->store, ".");
	struct dirent *e;

	if (!dir)
		return;
	while (dir_next(dir, &e) && e)
		remove_orphan(c, e->d_name);
	closedir(dir);
}
