#include <assert.h>
#include <fcntl.h>
#include <sys/syscall.h>

#include <linux/fs.h>

#include "store/content/ingest_state.h"
#include "store/content/path.h"
#include "store/content/shard.h"
#include "store/used.h"

/* The ingests of one call that this thread commits; others wait for it. */
struct batch {
	struct store *store;
	struct ingest **items;
	struct digest *digests; /* of the items, for shards_sync() */
	size_t n;
};

/* ---- sync ----------------------------------------------------------------- */

static int fail_commit(struct ingest *i, struct err *err, const char *what)
{
	char text[DIGEST_TEXT_MAX];

	return store_fail_errno(i->store, i->size, err, "%s content %s", what, digest_text(&i->digest, text));
}

typedef int sync_one(int fd);

/* Every item hears what became of it, also after one that failed. */
static int for_each(struct batch *b, sync_one *fn, struct err *err)
{
	int r = OK;

	for (size_t k = 0; k < b->n; k++) {
		struct ingest *i = b->items[k];

		if (fn(i->data_fd)) {
			i->lost = true;
			r = r == OK ? fail_commit(i, err, "sync") : r;
		}
	}
	return r;
}

static int fsync_each(struct batch *b, struct err *err)
{
	return for_each(b, fsync, err); /* their write-back began when they were finished */
}

/* Whether the file's pages reached the disk, when nothing is left to be written:
 * waits for nothing and tells what is pending for this descriptor. */
static int written_back(int fd)
{
	int rc = sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE);

	return rc && errno == ENOSYS ? fsync(fd) : rc;
}

/* The one that was opened first has seen whatever happened since to any of them. */
static int oldest_fd(const struct batch *b)
{
	const struct ingest *oldest = b->items[0];

	for (size_t k = 1; k < b->n; k++)
		if (b->items[k]->nth < oldest->nth)
			oldest = b->items[k];
	return oldest->data_fd;
}

/* The kernel tells an error once to each open file description: fsync and
 * sync_file_range those of its file since it was opened, syncfs those of the whole file
 * system. So syncfs has a descriptor of this commit alone: through a shared one, of two
 * commits at a time only one would hear of an error, and be it the other's. And each
 * file is asked on its own, since before Linux 5.8 syncfs told nothing. */
static int sync_data(struct batch *b, struct err *err)
{
	/* An error of syncfs may be about a file of somebody else. */
	if (b->n <= SYNC_SINGLY_MAX || syncfs(oldest_fd(b)))
		return fsync_each(b, err);
	return for_each(b, written_back, err);
}

/* ---- into place ----------------------------------------------------------- */

/* rename that never replaces; in two steps where the file system lacks it. */
static int rename_new(int from_fd, const char *from, int to_fd, const char *to)
{
	if (!syscall(SYS_renameat2, from_fd, from, to_fd, to, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	return linkat(from_fd, from, to_fd, to, 0) ? -1 : unlinkat(from_fd, from, 0);
}

static int place(struct store *s, struct ingest *i, const char *data_name)
{
	char path[CONTENT_PATH_MAX];

	content_path(&i->digest, path);
	if (!rename_new(s->ingest_fd, data_name, s->content_fd, path))
		return 0;
	if (errno != ENOENT || shard_make(s, &i->digest))
		return -1;
	return rename_new(s->ingest_fd, data_name, s->content_fd, path);
}

/* Under the digest's lock: "it exists" is an answer only while the collector does
 * not take it away. */
static int place_one(struct store *s, struct ingest *i, struct err *err)
{
	char name[CONTENT_PATH_MAX];
	int r = OK;

	if (i->placed)
		return OK;
	ingest_data_name(&i->digest, i->serial, name);
	digest_lock(s, &i->digest);
	if (!place(s, i, name)) {
		i->placed = true;
		used_add(s, i->size, 1);
	} else if (errno == EEXIST) {
		i->placed = !unlinkat(s->ingest_fd, name, 0) || errno == ENOENT;
	}
	if (i->placed)
		shard_changed(s, &i->digest);
	else
		r = fail_commit(i, err, "put into place");
	digest_unlock(s, &i->digest);
	return r;
}

static int commit_batch(struct batch *b, struct err *err)
{
	int r = sync_data(b, err);

	for (size_t k = 0; r == OK && k < b->n; k++)
		r = place_one(b->store, b->items[k], err);
	for (size_t k = 0; r == OK && k < b->n; k++)
		b->digests[k] = b->items[k]->digest;
	return r == OK ? shards_sync(b->store, oldest_fd(b), b->digests, b->n, err) : r;
}

/* ---- many callers, one commit each ---------------------------------------- */

enum claim { CLAIM_MINE, CLAIM_OTHERS, CLAIM_DONE, CLAIM_BROKEN };

/* Takes what is finished. With the table's lock. */
static enum claim claim(struct batch *b, struct ingest *const *ingests, size_t n)
{
	bool others = false;

	b->n = 0;
	for (size_t k = 0; k < n; k++) {
		struct ingest *i = ingests[k];

		assert(i->state != INGEST_WRITING);
		if (i->state == INGEST_BROKEN)
			return CLAIM_BROKEN;
		others = others || i->state == INGEST_COMMITTING;
	}
	for (size_t k = 0; k < n; k++)
		if (ingests[k]->state == INGEST_FINISHED) {
			ingests[k]->state = INGEST_COMMITTING;
			b->items[b->n++] = ingests[k];
		}
	return b->n ? CLAIM_MINE : others ? CLAIM_OTHERS : CLAIM_DONE;
}

/* A disk that is full may be emptied; bytes that could not be synced are lost although
 * a second sync would say nothing. */
static enum ingest_state state_after(const struct ingest *i, int r)
{
	return r == OK ? INGEST_COMMITTED : i->lost || r == E_IO ? INGEST_BROKEN : INGEST_FINISHED;
}

static void settle(struct batch *b, int r)
{
	struct store *s = b->store;

	for (size_t k = 0; r == OK && k < b->n; k++) {
		char name[CONTENT_PATH_MAX];

		/* Before it leaves the table: then the name is the next one's. */
		if (!b->items[k]->serial)
			unlinkat(s->ingest_fd, ingest_journal_name(&b->items[k]->digest, name), 0);
		ingest_unlist(b->items[k]);
	}
	pthread_mutex_lock(&s->ingests.mu);
	for (size_t k = 0; k < b->n; k++)
		b->items[k]->state = state_after(b->items[k], r);
	pthread_cond_broadcast(&s->ingests.committed);
	pthread_mutex_unlock(&s->ingests.mu);
}

static int commit_claimed(struct batch *b, struct err *err)
{
	int r = commit_batch(b, err);

	settle(b, r);
	return r;
}

/* Until a commit of another thread has ended, well or not. */
static void wait_for_others(struct store *s, struct ingest *const *ingests, size_t n)
{
	for (size_t k = 0; k < n; k++)
		while (ingests[k]->state == INGEST_COMMITTING)
			pthread_cond_wait(&s->ingests.committed, &s->ingests.mu);
}

int content_commit(struct store *s, struct ingest *const *ingests, size_t n, struct err *err)
{
	CLEANUP(freep) struct ingest **items = calloc(n ? n : 1, sizeof(*items));
	CLEANUP(freep) struct digest *digests = calloc(n ? n : 1, sizeof(*digests));
	struct batch b = { .store = s, .items = items, .digests = digests };
	int r = OK;

	if (!items || !digests)
		return fail_nomem(err);
	while (r == OK) {
		enum claim what;

		pthread_mutex_lock(&s->ingests.mu);
		what = claim(&b, ingests, n);
		if (what == CLAIM_OTHERS)
			wait_for_others(s, ingests, n);
		pthread_mutex_unlock(&s->ingests.mu);
		if (what == CLAIM_DONE)
			return OK;
		if (what == CLAIM_BROKEN)
			return fail(err, E_IO, "content could not be written to the disk");
		if (what == CLAIM_MINE)
			r = commit_claimed(&b, err);
	}
	return r;
}
