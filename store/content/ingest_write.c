#include <assert.h>
#include <fcntl.h>

#include "store/content/ingest_state.h"

/* The digest of an unnamed ingest is not known yet (ingest_open_unnamed). */
static const char *shown(const struct ingest *i, char text[DIGEST_TEXT_MAX])
{
	const struct digest unknown = { .algorithm = i->digest.algorithm };

	return digest_eq(&i->digest, &unknown) ? "new content" : digest_text(&i->digest, text);
}

int ingest_fail(const struct ingest *i, struct err *err, const char *what)
{
	char text[DIGEST_TEXT_MAX];

	return store_fail_errno(i->store, i->size > i->offset ? i->size - i->offset : 0, err, "%s ingest of %s", what,
				shown(i, text));
}

/* ---- journal -------------------------------------------------------------- */

static bool note_locked(struct ingest *i)
{
	i->journal.sequence++;
	i->journal.size = i->size;
	i->unnoted = 0;
	return journal_write(i->journal_fd, &i->journal);
}

bool ingest_note(struct ingest *i)
{
	bool noted;

	if (i->serial)
		return true;
	i->etag_changed = false;
	pthread_mutex_lock(&i->mu);
	noted = note_locked(i);
	pthread_mutex_unlock(&i->mu);
	return noted;
}

bool ingest_sync(struct ingest *i)
{
	if (i->lost) {
		errno = EIO;
		return false;
	}
	i->lost = fdatasync(i->data_fd) != 0;
	return !i->lost;
}

bool ingest_checkpoint(struct ingest *i)
{
	if (i->serial)
		return true;
	if (!ingest_sync(i))
		return false;
	pthread_mutex_lock(&i->mu);
	i->journal.synced = (int64_t)i->border.length;
	i->journal.hasher = i->border;
	pthread_mutex_unlock(&i->mu);
	return ingest_note(i) && !fdatasync(i->journal_fd);
}

bool ingest_empty(struct ingest *i)
{
	/* The journal first: what it says must never be about other bytes. */
	if (i->journal_fd >= 0 && ftruncate(i->journal_fd, 0))
		return false;
	if (ftruncate(i->data_fd, 0))
		return false;
	hasher_init(&i->hasher, (enum digest_algorithm)i->digest.algorithm);
	i->border = i->hasher;
	i->offset = i->pushed = 0;
	i->journal.synced = 0;
	i->journal.hasher = i->hasher;
	i->journal.etag[0] = 0;
	i->journal.scattered = false;
	i->journal.runs.n = 0;
	return true;
}

void ingest_set_etag(struct ingest *i, const char *etag)
{
	size_t len = strlen(etag);

	if (len >= sizeof i->journal.etag)
		len = 0; /* an etag that was cut would never match: none at all is as good */
	pthread_mutex_lock(&i->mu);
	memset(i->journal.etag, 0, sizeof i->journal.etag);
	memcpy(i->journal.etag, etag, len);
	pthread_mutex_unlock(&i->mu);
	i->etag_changed = true;
}

/* ---- write ---------------------------------------------------------------- */

static int fail_lost(const struct ingest *i, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	return fail(err, E_IO, "%s: bytes that arrived could not be written to the disk", shown(i, text));
}

static int fail_room(struct ingest *i, struct err *err)
{
	errno = ENOSPC;
	return ingest_fail(i, err, "allocate room for");
}

int ingest_allocate(struct ingest *i, struct err *err)
{
	int64_t left = i->size - i->offset, total, available;

	if (i->size < 0 || left < INGEST_ALLOCATE_FROM)
		return OK;
	/* Asked first: a call that fails half-way has filled the disk for everybody. */
	if (store_disk(i->store, &total, &available, NULL) == OK && available < left)
		return fail_room(i, err);
	if (!fallocate(i->data_fd, FALLOC_FL_KEEP_SIZE, i->offset, left))
		return OK;
	if (errno != ENOSPC && errno != EDQUOT)
		return OK;		      /* many file systems cannot; then a full disk shows while writing */
	if (ftruncate(i->data_fd, i->offset)) /* what it did get goes back */
		return ingest_fail(i, err, "empty");
	return fail_room(i, err);
}

/* The state after the last whole block is kept beside the running one: only that
 * can be saved. */
void ingest_count(struct ingest *i, const uint8_t *data, size_t len)
{
	int64_t end = i->offset + (int64_t)len, border = end / INGEST_BORDER * INGEST_BORDER;
	size_t whole = border > i->offset ? (size_t)(border - i->offset) : 0;

	if (whole) {
		hasher_update(&i->hasher, data, whole);
		i->border = i->hasher;
	}
	hasher_update(&i->hasher, data + whole, len - whole);
	i->offset = end;
}

static void push_out(struct ingest *i)
{
	int64_t ready = i->offset / INGEST_PUSH_BYTES * INGEST_PUSH_BYTES;

	if (ready <= i->pushed)
		return;
	/* Only a hint: fsync at the commit is what counts. */
	sync_file_range(i->data_fd, i->pushed, ready - i->pushed, SYNC_FILE_RANGE_WRITE);
	i->pushed = ready;
}

static size_t to_checkpoint(const struct ingest *i)
{
	return (size_t)(INGEST_CHECKPOINT_BYTES - i->offset % INGEST_CHECKPOINT_BYTES);
}

/* What the offset has passed is pushed out, and vouched for now and then. */
static int passed(struct ingest *i, struct err *err)
{
	push_out(i);
	if (to_checkpoint(i) == INGEST_CHECKPOINT_BYTES && !ingest_checkpoint(i))
		return ingest_fail(i, err, "sync");
	return OK;
}

static int check_room(const struct ingest *i, int64_t at, size_t len, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	if (i->size < 0 || len <= (uint64_t)(i->size - at))
		return OK;
	return fail(err, E_LIMIT, "content %s: more than the %lld bytes that its descriptor says arrived",
		    digest_text(&i->digest, text), (long long)i->size);
}

/* Bytes that are in the file now; those of a scattered ingest count only so. */
static bool note_run(struct ingest *i, int64_t from, int64_t to)
{
	bool noted = true;

	pthread_mutex_lock(&i->mu);
	if (i->journal.scattered) {
		runs_add(&i->journal.runs, from, to);
		i->unnoted += to - from;
		if (i->unnoted >= INGEST_NOTE_BYTES)
			noted = note_locked(i);
	}
	pthread_mutex_unlock(&i->mu);
	return noted;
}

int ingest_write(struct ingest *i, const void *data, size_t len, struct err *err)
{
	const uint8_t *at = data;

	assert(i->state == INGEST_WRITING);
	if (i->lost)
		return fail_lost(i, err);
	if (check_room(i, i->offset, len, err) < 0)
		return E_LIMIT;
	while (len) {
		size_t step = len < to_checkpoint(i) ? len : to_checkpoint(i);
		ssize_t n = pwrite(i->data_fd, at, step, i->offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ingest_fail(i, err, "write");
		ingest_count(i, at, (size_t)n);
		at += n;
		len -= (size_t)n;
		if (!note_run(i, i->offset - n, i->offset))
			return ingest_fail(i, err, "write journal of");
		if (passed(i, err) < 0)
			return err->code;
	}
	return OK;
}

/* ---- write in several places ---------------------------------------------- */

/* Noted before the first byte is written behind a gap: from here on the end of the file
 * says nothing. */
static bool scatter(struct ingest *i)
{
	bool noted = true;

	pthread_mutex_lock(&i->mu);
	if (!i->journal.scattered) {
		i->journal.scattered = true;
		runs_add(&i->journal.runs, 0, i->offset);
		noted = note_locked(i);
		i->journal.scattered = noted;
	}
	pthread_mutex_unlock(&i->mu);
	return noted;
}

int ingest_scatter(struct ingest *i, struct err *err)
{
	assert(i->state == INGEST_WRITING && i->size >= 0 && !i->serial);
	if (i->lost)
		return fail_lost(i, err);
	return scatter(i) ? OK : ingest_fail(i, err, "write journal of");
}

int ingest_write_at(struct ingest *i, int64_t where, const void *data, size_t len, struct err *err)
{
	const uint8_t *at = data;
	int64_t from = where;

	assert(i->state == INGEST_WRITING && i->size >= 0 && where >= 0 && where <= i->size);
	if (i->lost)
		return fail_lost(i, err);
	if (check_room(i, where, len, err) < 0)
		return E_LIMIT;
	while (len) {
		ssize_t n = pwrite(i->data_fd, at, len, where);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ingest_fail(i, err, "write");
		at += n;
		where += n;
		len -= (size_t)n;
	}
	return note_run(i, from, where) ? OK : ingest_fail(i, err, "write journal of");
}

int ingest_advance(struct ingest *i, struct err *err)
{
	int64_t reach,
		step = (int64_t)to_checkpoint(i) < INGEST_HASH_STEP ? (int64_t)to_checkpoint(i) : INGEST_HASH_STEP;

	assert(i->state == INGEST_WRITING);
	if (i->lost)
		return fail_lost(i, err);
	pthread_mutex_lock(&i->mu);
	reach = runs_reach(&i->journal.runs, i->offset);
	pthread_mutex_unlock(&i->mu);
	if (reach <= i->offset)
		return 0;
	if (!ingest_hash(i, reach - i->offset < step ? reach : i->offset + step))
		return ingest_fail(i, err, "read back");
	return passed(i, err) < 0 ? err->code : 1;
}

bool ingest_missing(struct ingest *i, int64_t from, int64_t *ret_from, int64_t *ret_to)
{
	pthread_mutex_lock(&i->mu);
	*ret_from = runs_reach(&i->journal.runs, from);
	*ret_to = runs_next(&i->journal.runs, *ret_from, i->size);
	pthread_mutex_unlock(&i->mu);
	return *ret_from < i->size;
}

int64_t ingest_present(struct ingest *i)
{
	int64_t beyond;

	pthread_mutex_lock(&i->mu);
	beyond = runs_beyond(&i->journal.runs, i->offset);
	pthread_mutex_unlock(&i->mu);
	return i->offset + beyond;
}

int ingest_restart(struct ingest *i, struct err *err)
{
	assert(i->state == INGEST_WRITING);
	if (i->lost)
		return fail_lost(i, err);
	if (!ingest_empty(i))
		return ingest_fail(i, err, "empty");
	return ingest_allocate(i, err);
}

/* ---- finish --------------------------------------------------------------- */

static int fail_digest(struct ingest *i, const struct digest *got, struct err *err)
{
	char want_text[DIGEST_TEXT_MAX], got_text[DIGEST_TEXT_MAX];

	if (!ingest_empty(i))
		return ingest_fail(i, err, "empty");
	return fail(err, E_DIGEST_MISMATCH, "content %s: the bytes that arrived have the digest %s",
		    digest_text(&i->digest, want_text), digest_text(got, got_text));
}

int ingest_finish(struct ingest *i, struct err *err)
{
	struct hasher h = i->hasher;
	struct digest got;

	assert(i->state == INGEST_WRITING);
	if (i->lost)
		return fail_lost(i, err);
	if (i->size >= 0 && i->offset != i->size) {
		char text[DIGEST_TEXT_MAX];

		return fail(err, E_CORRUPT, "content %s: %lld of %lld bytes arrived", digest_text(&i->digest, text),
			    (long long)i->offset, (long long)i->size);
	}
	got = hasher_final(&h);
	if (!digest_eq(&got, &i->digest))
		return fail_digest(i, &got, err);
	i->size = i->offset;
	/* So that a crash before the commit loses nothing: the bytes are all there. */
	if ((!i->journal.sequence || i->etag_changed) && !ingest_note(i))
		return ingest_fail(i, err, "write journal of");
	/* On its way to the disk while the rest of the image still arrives or is verified. A
	 * small one is an operation of the disk more, and written in no time at the commit. */
	if (i->size >= INGEST_SMALL_BYTES)
		sync_file_range(i->data_fd, i->pushed, 0, SYNC_FILE_RANGE_WRITE);
	pthread_mutex_lock(&i->store->ingests.mu);
	i->state = INGEST_FINISHED;
	pthread_mutex_unlock(&i->store->ingests.mu);
	return OK;
}
