#include "store/content/ingest.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "store/content/ingest_state.h"
#include "store/content/path.h"

enum { REHASH_BYTES = 256 * 1024 };

/* ---- the table ------------------------------------------------------------ */

static struct ingest **bucket(struct store *s, const struct digest *d)
{
	return &s->ingests.open[d->bytes[0] % INGEST_BUCKETS];
}

bool ingest_list(struct ingest *i)
{
	struct store *s = i->store;
	struct ingest **head = bucket(s, &i->digest);
	bool taken = false;

	pthread_mutex_lock(&s->ingests.mu);
	for (struct ingest *other = *head; other && !taken; other = other->next)
		taken = other->serial == i->serial && digest_eq(&other->digest, &i->digest);
	if (!taken) {
		i->nth = ++s->ingests.listed;
		i->next = *head;
		*head = i;
	}
	pthread_mutex_unlock(&s->ingests.mu);
	return !taken;
}

bool ingest_is_open(struct store *s, const struct digest *d, const struct ingest *own)
{
	bool found = false;

	pthread_mutex_lock(&s->ingests.mu);
	for (const struct ingest *i = *bucket(s, d); i && !found; i = i->next)
		found = i != own && digest_eq(&i->digest, d);
	pthread_mutex_unlock(&s->ingests.mu);
	return found;
}

bool ingest_mark_unwanted(struct store *s, const struct digest *d)
{
	bool found = false;

	pthread_mutex_lock(&s->ingests.mu);
	for (struct ingest *i = *bucket(s, d); i; i = i->next)
		if (!i->serial && digest_eq(&i->digest, d))
			found = i->unwanted = true;
	pthread_mutex_unlock(&s->ingests.mu);
	return found;
}

static bool is_unwanted(struct ingest *i)
{
	bool unwanted;

	pthread_mutex_lock(&i->store->ingests.mu);
	unwanted = i->unwanted;
	pthread_mutex_unlock(&i->store->ingests.mu);
	return unwanted;
}

static void unlist_locked(struct ingest *i)
{
	for (struct ingest **p = bucket(i->store, &i->digest); *p; p = &(*p)->next)
		if (*p == i) {
			*p = i->next;
			break;
		}
}

void ingest_unlist(struct ingest *i)
{
	pthread_mutex_lock(&i->store->ingests.mu);
	unlist_locked(i);
	pthread_mutex_unlock(&i->store->ingests.mu);
}

/* Lists it where `hold` stands, under that digest. */
static void take_place(struct ingest *i, struct ingest *hold)
{
	struct ingest **head = bucket(i->store, &hold->digest);

	pthread_mutex_lock(&i->store->ingests.mu);
	unlist_locked(hold);
	unlist_locked(i);
	i->digest = hold->digest;
	i->next = *head;
	*head = i;
	pthread_mutex_unlock(&i->store->ingests.mu);
}

/* ---- resume --------------------------------------------------------------- */

bool ingest_hash(struct ingest *i, int64_t end)
{
	CLEANUP(freep) uint8_t *block = malloc(REHASH_BYTES);

	while (block && i->offset < end) {
		int64_t left = end - i->offset;
		ssize_t n = pread(i->data_fd, block, left < REHASH_BYTES ? (size_t)left : REHASH_BYTES, i->offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO; /* it has become shorter */
		if (n <= 0)
			return false;
		ingest_count(i, block, (size_t)n);
	}
	return block;
}

static bool fits(const struct ingest *i, const struct journal *j, int64_t have)
{
	if (j->scattered && !runs_valid(&j->runs, have))
		return false;
	return digest_eq(&j->digest, &i->digest) && j->synced <= have && (i->size < 0 || have <= i->size) &&
	       (i->size < 0 || j->size < 0 || i->size == j->size);
}

/* Damage that a reboot did shows here, and not only when all is fetched. */
static bool same_state(const struct hasher *a, const struct hasher *b)
{
	uint8_t a_state[HASHER_STATE_MAX], b_state[HASHER_STATE_MAX];
	size_t a_len, b_len;

	return hasher_save(a, a_state, &a_len) && hasher_save(b, b_state, &b_len) && a_len == b_len &&
	       !memcmp(a_state, b_state, a_len);
}

/* Takes over what the journal and the data file say. False: nothing is to be had. */
static bool resume(struct ingest *i)
{
	struct journal j;
	struct stat st;
	bool same_boot;
	int64_t end;

	if (!journal_read(i->journal_fd, &j) || fstat(i->data_fd, &st) || !fits(i, &j, st.st_size))
		return false;
	end = st.st_size;
	same_boot = i->store->boot_id[0] && !strcmp(j.boot_id, i->store->boot_id);
	if (same_boot) {
		i->hasher = i->border = j.hasher;
		i->offset = j.synced;
	} else if (ftruncate(i->data_fd, j.synced)) {
		return false;
	}
	if (!same_boot)
		end = j.synced;
	else if (j.scattered)
		end = runs_reach(&j.runs, j.synced);
	if (!ingest_hash(i, end))
		return false;
	i->pushed = i->offset;
	i->journal = j;
	memcpy(i->journal.boot_id, i->store->boot_id, sizeof i->journal.boot_id);
	if (!same_boot) {
		i->journal.scattered = false;
		i->journal.runs.n = 0;
	}
	return same_boot || same_state(&i->border, &j.hasher);
}

/* ---- open ----------------------------------------------------------------- */

static int open_files(struct ingest *i, struct err *err)
{
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
	char name[CONTENT_PATH_MAX];

	i->data_fd = openat(i->store->ingest_fd, ingest_data_name(&i->digest, i->serial, name), flags, 0600);
	if (i->data_fd < 0)
		return ingest_fail(i, err, "open");
	if (i->serial) /* no other name leads here: what is there is of a dead process */
		return ftruncate(i->data_fd, 0) ? ingest_fail(i, err, "empty") : OK;
	i->journal_fd = openat(i->store->ingest_fd, ingest_journal_name(&i->digest, name), flags, 0600);
	return i->journal_fd < 0 ? ingest_fail(i, err, "open journal of") : OK;
}

static int prepare(struct ingest *i, struct err *err)
{
	int r = open_files(i, err);

	if (r != OK)
		return r;
	if (!i->serial && !resume(i) && !ingest_empty(i))
		return ingest_fail(i, err, "empty");
	r = ingest_allocate(i, err);
	if (r != OK)
		return r;
	if (!i->serial && !i->offset && (i->size < 0 || i->size >= INGEST_JOURNAL_FROM) && !ingest_note(i))
		return ingest_fail(i, err, "write journal of");
	return OK;
}

struct ingest *ingest_new(struct store *s, const struct digest *d, int64_t size, uint64_t serial)
{
	struct ingest *i = malloc(sizeof *i);

	if (!i)
		return NULL;
	*i = (struct ingest){
		.store = s,
		.digest = *d,
		.size = size,
		.serial = serial,
		.data_fd = -1,
		.journal_fd = -1,
		.mu = PTHREAD_MUTEX_INITIALIZER,
	};
	atomic_init(&i->refs, 1);
	hasher_init(&i->hasher, (enum digest_algorithm)d->algorithm);
	i->border = i->hasher;
	i->journal = (struct journal){ .digest = *d, .size = size, .hasher = i->hasher };
	memcpy(i->journal.boot_id, s->boot_id, sizeof s->boot_id);
	return i;
}

static int fail_taken(const struct digest *d, int code, const char *what, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	return fail(err, code, "content %s %s", digest_text(d, text), what);
}

/* With the lock, as the collector may be about to take it away. */
static bool exists_now(struct store *s, const struct digest *d)
{
	bool exists;

	digest_lock(s, d);
	exists = content_exists(s, d, NULL);
	digest_unlock(s, d);
	return exists;
}

static int open_as(struct store *s, const struct digest *d, int64_t size, uint64_t serial, struct ingest **ret_ingest,
		   struct err *err)
{
	struct ingest *i;
	int r = store_writable(s, err);

	if (r != OK)
		return r;
	i = ingest_new(s, d, size, serial);
	if (!i)
		return fail_nomem(err);
	if (!ingest_list(i)) {
		free(i);
		return fail_taken(d, E_BUSY, "is being fetched already", err);
	}
	/* Looked at after it was listed: a commit of the one before is over. */
	r = exists_now(s, d) ? fail_taken(d, E_EXISTS, "is in the store", err) : prepare(i, err);
	if (r != OK) {
		ingest_unref(i);
		return r;
	}
	*ret_ingest = i;
	return OK;
}

int ingest_open(struct store *s, const struct digest *d, int64_t size, struct ingest **ret_ingest, struct err *err)
{
	return open_as(s, d, size, 0, ret_ingest, err);
}

/* ---- close ---------------------------------------------------------------- */

static void remove_files(struct ingest *i)
{
	char name[CONTENT_PATH_MAX];

	unlinkat(i->store->ingest_fd, ingest_data_name(&i->digest, i->serial, name), 0);
	if (!i->serial)
		unlinkat(i->store->ingest_fd, ingest_journal_name(&i->digest, name), 0);
}

/* What cannot be kept now is fetched again later: failures change nothing else. */
static void keep_files(struct ingest *i)
{
	int64_t end = runs_end(&i->journal.runs);
	bool useless = (!i->offset && !end) || i->serial || i->placed || i->lost || i->state == INGEST_BROKEN;

	useless = useless || is_unwanted(i);
	/* Gives back what was allocated and not used. */
	if (!useless && ftruncate(i->data_fd, end > i->offset ? end : i->offset))
		return;
	if (!useless && (i->offset > i->journal.synced || i->etag_changed || i->journal.scattered))
		ingest_checkpoint(i);
	if (useless || i->lost)
		remove_files(i);
}

static void ingest_free(struct ingest *i)
{
	if (i->data_fd >= 0 && i->state != INGEST_COMMITTED)
		keep_files(i);
	ingest_unlist(i);
	closep(&i->data_fd);
	closep(&i->journal_fd);
	pthread_mutex_destroy(&i->mu);
	free(i);
}

struct ingest *ingest_ref(struct ingest *i)
{
	if (i)
		atomic_fetch_add(&i->refs, 1);
	return i;
}

void ingest_unref(struct ingest *i)
{
	if (i && atomic_fetch_sub(&i->refs, 1) == 1)
		ingest_free(i);
}

void ingest_unrefp(struct ingest **i)
{
	ingest_unref(*i);
}

/* ---- small blobs ---------------------------------------------------------- */

static uint64_t next_serial(struct store *s)
{
	uint64_t serial;

	pthread_mutex_lock(&s->ingests.mu);
	serial = ++s->ingests.serial;
	pthread_mutex_unlock(&s->ingests.mu);
	return serial;
}

int ingest_bytes(struct store *s, const struct digest *d, struct bytes data, struct ingest **ret_ingest,
		 struct err *err)
{
	CLEANUP(ingest_unrefp) struct ingest *i = NULL;
	int r = open_as(s, d, (int64_t)data.len, next_serial(s), &i, err);

	if (r == E_EXISTS) {
		*ret_ingest = NULL;
		return OK;
	}
	if (r == OK)
		r = ingest_write(i, data.data, data.len, err);
	if (r == OK)
		r = ingest_finish(i, err);
	if (r == OK)
		*ret_ingest = TAKE(i);
	return r;
}

/* ---- bytes without a name ------------------------------------------------- */

/* Until the digest is known it is all zeros, which no bytes have: so the serial alone
 * tells such ingests apart. */
int ingest_open_unnamed(struct store *s, enum digest_algorithm algorithm, struct ingest **ret_ingest, struct err *err)
{
	struct digest unknown = { .algorithm = (uint8_t)algorithm };

	return open_as(s, &unknown, -1, next_serial(s), ret_ingest, err);
}

int ingest_name(struct ingest *i, struct digest *ret_digest, struct err *err)
{
	char from[CONTENT_PATH_MAX], to[CONTENT_PATH_MAX];
	struct hasher h = i->hasher;
	struct digest d = hasher_final(&h);
	struct ingest *hold;

	assert(i->state == INGEST_WRITING && i->serial);
	/* Keeps a sweep off the new name until the ingest itself stands there. */
	hold = ingest_new(i->store, &d, -1, i->serial);
	if (!hold)
		return fail_nomem(err);
	if (!ingest_list(hold)) {
		free(hold);
		return fail_taken(&d, E_BUSY, "is being swept up", err);
	}
	ingest_data_name(&i->digest, i->serial, from);
	ingest_data_name(&d, i->serial, to);
	if (renameat(i->store->ingest_fd, from, i->store->ingest_fd, to)) {
		ingest_unlist(hold);
		free(hold);
		return ingest_fail(i, err, "name");
	}
	take_place(i, hold);
	free(hold);
	i->size = i->offset;
	*ret_digest = d;
	return ingest_finish(i, err);
}

/* ---- what it says --------------------------------------------------------- */

int64_t ingest_offset(const struct ingest *i)
{
	return i->offset;
}

const struct digest *ingest_digest(const struct ingest *i)
{
	return &i->digest;
}

const char *ingest_etag(const struct ingest *i)
{
	return i->journal.etag;
}

int ingest_reader(struct ingest *i, int *ret_fd, struct err *err)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW;
	char name[CONTENT_PATH_MAX];
	int fd = openat(i->store->ingest_fd, ingest_data_name(&i->digest, i->serial, name), flags);

	if (fd < 0 && errno == ENOENT) /* committed meanwhile */
		fd = openat(i->store->content_fd, content_path(&i->digest, name), flags);
	if (fd < 0)
		return ingest_fail(i, err, "read");
	*ret_fd = fd;
	return OK;
}
