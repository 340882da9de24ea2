#include "store/used.h"

#include <fcntl.h>

#include "store/usage.h"

static void add(struct store_used *sum, int64_t bytes, int64_t files)
{
	sum->bytes += bytes;
	sum->files += files;
}

void used_add(struct store *s, int64_t bytes, int64_t files)
{
	pthread_mutex_lock(&s->used.mu);
	add(&s->used.all, bytes, files);
	s->used.changes++;
	pthread_mutex_unlock(&s->used.mu);
}

void used_add_layer(struct store *s, int64_t bytes, int64_t files)
{
	pthread_mutex_lock(&s->used.mu);
	add(&s->used.all, bytes, files);
	add(&s->used.layers, bytes, files);
	s->used.changes++;
	pthread_mutex_unlock(&s->used.mu);
}

int used_unlink_layer(struct store *s, int dir_fd, const char *path, struct stat *ret_st)
{
	struct stat st;

	if (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) || unlinkat(dir_fd, path, 0))
		return -1;
	used_add_layer(s, -(int64_t)st.st_size, -1);
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

bool used_set(struct store *s, uint64_t changes, const struct store_used *all, const struct store_used *layers)
{
	bool same;

	pthread_mutex_lock(&s->used.mu);
	same = s->used.changes == changes;
	if (same) {
		s->used.all = *all;
		s->used.layers = *layers;
	}
	pthread_mutex_unlock(&s->used.mu);
	return same;
}

static void tell(struct store *s, const struct store_used *sum, struct store_used *ret_used)
{
	pthread_mutex_lock(&s->used.mu);
	ret_used->bytes = sum->bytes > 0 ? sum->bytes : 0;
	ret_used->files = sum->files > 0 ? sum->files : 0;
	pthread_mutex_unlock(&s->used.mu);
}

void store_used(struct store *s, struct store_used *ret_used)
{
	tell(s, &s->used.all, ret_used);
}

void store_used_layers(struct store *s, struct store_used *ret_used)
{
	tell(s, &s->used.layers, ret_used);
}
