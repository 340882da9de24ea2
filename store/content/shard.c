#include "store/content/shard.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "store/content/path.h"

static struct shard *shard_of(struct store *s, const struct digest *d)
{
	return &s->shards[d->algorithm][d->bytes[0]];
}

static struct shard *parent_of(struct store *s, const struct digest *d)
{
	return &s->shards[d->algorithm][CONTENT_SHARDS];
}

static bool is_synced(struct shard *sh)
{
	return atomic_load(&sh->changed) == atomic_load(&sh->synced);
}

/* Another thread may have synced later than this one began. */
static void note_synced(struct shard *sh, uint64_t changed)
{
	uint_least64_t known = atomic_load(&sh->synced);

	while (known < changed && !atomic_compare_exchange_weak(&sh->synced, &known, changed))
		;
}

int shard_make(struct store *s, const struct digest *d)
{
	bool synced = d->algorithm == DIGEST_SHA256; /* root.c makes that one */
	char path[CONTENT_PATH_MAX];

	if (!mkdirat(s->content_fd, content_algorithm_dir(d), 0700))
		synced = false;
	else if (errno != EEXIST)
		return -1;
	if (!synced && fsync(s->content_fd))
		return -1;
	if (mkdirat(s->content_fd, content_shard(d, path), 0700) && errno != EEXIST)
		return -1;
	atomic_fetch_add(&parent_of(s, d)->changed, 1);
	return 0;
}

void shard_changed(struct store *s, const struct digest *d)
{
	atomic_fetch_add(&shard_of(s, d)->changed, 1);
}

static int sync_dir(struct store *s, struct shard *sh, const char *path, struct err *err)
{
	uint64_t changed = atomic_load(&sh->changed);
	CLEANUP(closep) int fd = -1;

	if (is_synced(sh))
		return OK;
	fd = openat(s->content_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fsync(fd))
		return store_fail_errno(s, 0, err, "sync content directory '%s'", path);
	note_synced(sh, changed);
	return OK;
}

static size_t count_unsynced(struct store *s, const struct digest *digests, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += !is_synced(shard_of(s, &digests[i]));
	return count;
}

static bool sync_file_system(struct store *s, int fd)
{
	enum { ALGORITHMS = ARRAY_LEN(s->shards), SHARDS = ARRAY_LEN(s->shards[0]) };
	uint64_t changed[ALGORITHMS][SHARDS];

	for (size_t a = 0; a < ALGORITHMS; a++)
		for (size_t i = 0; i < SHARDS; i++)
			changed[a][i] = atomic_load(&s->shards[a][i].changed);
	if (syncfs(fd))
		return false;
	for (size_t a = 0; a < ALGORITHMS; a++)
		for (size_t i = 0; i < SHARDS; i++)
			note_synced(&s->shards[a][i], changed[a][i]);
	return true;
}

int shards_sync(struct store *s, int fd, const struct digest *digests, size_t n, struct err *err)
{
	/* An error of syncfs may be about a file of somebody else: then one by one. */
	if (count_unsynced(s, digests, n) > SYNC_SINGLY_MAX && sync_file_system(s, fd))
		return OK;
	for (size_t i = 0; i < n; i++) {
		const struct digest *d = &digests[i];
		char path[CONTENT_PATH_MAX];
		int r = sync_dir(s, shard_of(s, d), content_shard(d, path), err);

		if (r == OK)
			r = sync_dir(s, parent_of(s, d), content_algorithm_dir(d), err);
		if (r != OK)
			return r;
	}
	return OK;
}
