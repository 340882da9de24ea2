#include "store/cache/build_records.h"

#include <fcntl.h>

#include "store/internal.h"
#include "store/meta/scan.h"
#include "store/record.h"

enum {
	STATE_INTERRUPTED = 5, /* imaged.v1.BuildInfo.State */
	IDS_MAX = 100000,
	RECORD_ARENA = 1024 * 1024, /* many tags */
};

typedef Imaged__Store__V1__BuildRecord build_record;

bool build_id_is_valid(const char *id)
{
	size_t len = strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz");

	return len == BUILD_ID_TEXT_MAX - 1 && !id[len];
}

/* ---- one record --------------------------------------------------------------------------------- */

int build_record_write(struct store *s, const build_record *record, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key k = key_build(record->id);
	build_record own = *record;
	int r;

	if (!t)
		return fail_nomem(err);
	own.run = (ProtobufCBinaryData){ sizeof s->run, s->run };
	r = record_put(t, &k, &own.base, err);
	return r == OK ? meta_txn_commit(s->local, t, NULL, err) : r;
}

static bool is_of_this_run(const struct store *s, const build_record *record)
{
	return record->run.len == sizeof s->run && !memcmp(record->run.data, s->run, sizeof s->run);
}

static int read_record(struct store *s, const char *id, struct arena *arena, build_record **ret_record, struct err *err)
{
	struct key k = key_build(id);
	ProtobufCMessage *m;
	build_record *record;
	int r = record_get(s->local, &k, &imaged__store__v1__build_record__descriptor, arena, &m, NULL, err);

	if (r != OK)
		return r;
	record = (build_record *)m;
	/* Of a process that was killed in it. */
	if (!record->ended_ns && !is_of_this_run(s, record))
		record->state = STATE_INTERRUPTED;
	*ret_record = record;
	return OK;
}

static int delete_record(struct store *s, const char *id, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct key k = key_build(id);
	int r;

	if (!t)
		return fail_nomem(err);
	meta_txn_use_reserve(t);
	meta_txn_delete(t, key_bytes(&k));
	r = meta_txn_commit(s->local, t, NULL, err);
	if (r == OK)
		unlinkat(s->logs_fd, id, 0); /* else the next trim does */
	return r;
}

/* ---- which there are -------------------------------------------------------------------------------- */

struct ids {
	char (*items)[BUILD_ID_TEXT_MAX]; /* oldest first */
	size_t n, capacity;
};

static void ids_free(struct ids *ids)
{
	free(ids->items);
}

static int add_id(struct ids *ids, const struct key *k, struct err *err)
{
	if (ids->n == ids->capacity) {
		size_t capacity = ids->capacity ? 2 * ids->capacity : 256;
		char(*items)[BUILD_ID_TEXT_MAX] = reallocarray(ids->items, capacity, sizeof *items);

		if (!items)
			return fail_nomem(err);
		ids->items = items;
		ids->capacity = capacity;
	}
	ids->n += key_parse_build(key_bytes(k), ids->items[ids->n]);
	return OK;
}

/* Of those that begin so. */
static int read_ids(struct store *s, const char *beginning, struct ids *ids, struct err *err)
{
	CLEANUP(freep) struct meta_scan *scan = malloc(sizeof *scan);
	struct key prefix = key_build(beginning);
	const struct key *k;
	int r;

	if (!scan)
		return fail_nomem(err);
	meta_scan_prefix(scan, s->local, &prefix);
	while ((r = meta_scan_next(scan, &k, NULL, err)) == OK && k && ids->n < IDS_MAX) {
		r = add_id(ids, k, err);
		if (r != OK)
			return r;
	}
	return r;
}

int build_records_each(struct store *s, const char *after, build_record_visit *visit, void *arg, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	CLEANUP(ids_free) struct ids ids = { 0 };
	bool go_on = true;
	int r = read_ids(s, "", &ids, err);

	arena_init(&arena, RECORD_ARENA);
	for (size_t i = ids.n; r == OK && go_on && i-- > 0;) {
		build_record *record;

		if (*after && strcmp(ids.items[i], after) >= 0)
			continue;
		arena_reset(&arena, RECORD_ARENA);
		r = read_record(s, ids.items[i], &arena, &record, err);
		if (r == OK)
			go_on = visit(arg, record);
		else if (r == E_NOT_FOUND || r == E_CORRUPT) /* went just now; damaged ones are nobody's need */
			r = OK;
	}
	return r;
}

/* ---- one of them ---------------------------------------------------------------------------------------- */

static int fail_none(const char *id, struct err *err)
{
	return fail(err, E_NOT_FOUND, "no record found for \"%.64s\"", id);
}

/* "^N". */
static int find_from_newest(struct store *s, const char *text, char ret_id[BUILD_ID_TEXT_MAX], struct err *err)
{
	CLEANUP(ids_free) struct ids ids = { 0 };
	unsigned long n;
	char *end;
	int r;

	errno = 0;
	n = strtoul(text + 1, &end, 10);
	if (errno || *end || text[1] < '0' || text[1] > '9')
		return fail(err, E_INVALID, "invalid offset \"%.64s\": ^ and a number are expected, as in ^1", text);
	r = read_ids(s, "", &ids, err);
	if (r != OK)
		return r;
	if (n >= ids.n)
		return fail_none(text, err);
	memcpy(ret_id, ids.items[ids.n - 1 - n], BUILD_ID_TEXT_MAX);
	return OK;
}

static int find_by_beginning(struct store *s, const char *text, char ret_id[BUILD_ID_TEXT_MAX], struct err *err)
{
	CLEANUP(ids_free) struct ids ids = { 0 };
	int r;

	if (strlen(text) >= BUILD_ID_TEXT_MAX)
		return fail_none(text, err);
	r = read_ids(s, text, &ids, err);
	if (r != OK)
		return r;
	if (!ids.n)
		return fail_none(text, err);
	if (ids.n > 1)
		return fail(err, E_CONFLICT, "%zu builds have an ID that begins with \"%s\": give more of it", ids.n,
			    text);
	memcpy(ret_id, ids.items[0], BUILD_ID_TEXT_MAX);
	return OK;
}

static int find(struct store *s, const char *text, char ret_id[BUILD_ID_TEXT_MAX], struct err *err)
{
	if (!*text)
		return find_from_newest(s, "^0", ret_id, err);
	return *text == '^' ? find_from_newest(s, text, ret_id, err) : find_by_beginning(s, text, ret_id, err);
}

int build_record_get(struct store *s, const char *id, struct arena *arena, build_record **ret_record, struct err *err)
{
	char whole[BUILD_ID_TEXT_MAX];
	int r = find(s, id, whole, err);

	if (r == OK)
		r = read_record(s, whole, arena, ret_record, err);
	return r == E_NOT_FOUND ? fail_none(id, err) : r;
}

int build_record_remove(struct store *s, const char *id, struct err *err)
{
	CLEANUP(arena_free) struct arena arena;
	char whole[BUILD_ID_TEXT_MAX];
	build_record *record = NULL;
	int r = store_writable(s, err);

	arena_init(&arena, RECORD_ARENA);
	if (r == OK)
		r = find(s, id, whole, err);
	if (r == OK)
		r = read_record(s, whole, &arena, &record, err);
	if (r != OK && r != E_CORRUPT)
		return r == E_NOT_FOUND ? fail_none(id, err) : r;
	if (record && !record->ended_ns && record->state != STATE_INTERRUPTED)
		return fail(err, E_CONFLICT, "build %s is running", whole);
	return delete_record(s, whole, err);
}

/* ---- too many ------------------------------------------------------------------------------------------- */

static bool is_running(struct store *s, const char *id)
{
	CLEANUP(arena_free) struct arena arena;
	build_record *record;

	arena_init(&arena, RECORD_ARENA);
	return read_record(s, id, &arena, &record, NULL) == OK && !record->ended_ns &&
	       record->state != STATE_INTERRUPTED;
}

static void remove_if_orphan(struct store *s, const char *name)
{
	uint64_t revision;
	struct key k;

	if (!build_id_is_valid(name))
		return;
	k = key_build(name);
	if (record_revision(s->local, &k, &revision, NULL) == E_NOT_FOUND)
		unlinkat(s->logs_fd, name, 0);
}

/* Records come before their logs, so that no log of a build that begins is taken for one. */
static void sweep_logs(struct store *s)
{
	int fd = openat(s->logs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		closep(&fd);
		return;
	}
	while (dir_next(dir, &e) && e)
		remove_if_orphan(s, e->d_name);
	closedir(dir);
}

void build_records_trim(struct store *s, size_t max)
{
	CLEANUP(ids_free) struct ids ids = { 0 };
	size_t left;

	if (read_ids(s, "", &ids, NULL) != OK)
		return;
	left = ids.n;
	for (size_t i = 0; i < ids.n && left > max; i++)
		if (!is_running(s, ids.items[i]))
			left -= delete_record(s, ids.items[i], NULL) == OK;
	sweep_logs(s);
}
