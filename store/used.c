#include "store/used.h"

#include <fcntl.h>

void used_add(struct store *s, int64_t bytes, int64_t files)
{
	pthread_mutex_lock(&s->used.mu);
	s->used.bytes += bytes;
	s->used.files += files;
	s->used.changes++;
	pthread_mutex_unlock(&s->used.mu);
}

int used_unlinkat(struct store *s, int dir_fd, const char *path, struct stat *ret_st)
{
	struct stat st;

	if (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) || unlinkat(dir_fd, path, 0))
		return -1;
	used_add(s, -(int64_t)st.st_size, -1);
	if (ret_st)
		*ret_st = st;
	return 0;
}

uint64_t used_changes(struct store *s)
{
	uint64_t changes;

	pthread_mutex_lock(&s->used.mu);
	changes = s->used.changes;
	pthread_mutex_unlock(&s->used.mu);
	return changes;
}

bool used_set(struct store *s, uint64_t changes, int64_t bytes, int64_t files)
{
	bool same;

	pthread_mutex_lock(&s->used.mu);
	same = s->used.changes == changes;
	if (same) {
		s->used.bytes = bytes;
		s->used.files = files;
	}
	pthread_mutex_unlock(&s->used.mu);
	return same;
}

void store_used(struct store *s, struct store_used *ret_used)
{
	pthread_mutex_lock(&s->used.mu);
	ret_used->bytes = s->used.bytes > 0 ? s->used.bytes : 0;
	ret_used->files = s->used.files > 0 ? s->used.files : 0;
	pthread_mutex_unlock(&s->used.mu);
}
