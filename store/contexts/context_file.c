#include "store/contexts/context_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

static void set_path(struct context_file *f, const char *directory, const char *kind)
{
	if (directory)
		snprintf(f->path, sizeof f->path, "%.64s/%016llx.%s", directory, (unsigned long long)f->number, kind);
	else
		snprintf(f->path, sizeof f->path, "new-%016llx.%s", (unsigned long long)f->number, kind);
}

static int create(struct store *s, const char *directory, const struct context_file *f)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	int fd = openat(s->contexts_fd, f->path, flags, 0600);

	if (fd >= 0 || errno != ENOENT || !directory)
		return fd;
	if (mkdirat(s->contexts_fd, directory, 0700) && errno != EEXIST)
		return -1;
	return openat(s->contexts_fd, f->path, flags, 0600);
}

int context_file_create(struct store *s, const char *directory, const char *kind, struct context_file *ret_file,
			struct err *err)
{
	struct context_file f = { .store = s };
	int r = store_writable(s, err);

	if (r != OK)
		return r;
	if (getrandom(&f.number, sizeof f.number, 0) != sizeof f.number)
		return fail_errno(err, "random name of a context's file");
	set_path(&f, directory, kind);
	f.fd = create(s, directory, &f);
	if (f.fd < 0)
		return store_fail_errno(s, 0, err, "create a file for a build context");
	if (!directory) {
		unlinkat(s->contexts_fd, f.path, 0);
		f.path[0] = 0;
	}
	*ret_file = f;
	return OK;
}

int context_file_open(struct store *s, const char *directory, const char *kind, uint64_t number,
		      struct context_file *ret_file, struct err *err)
{
	struct context_file f = { .store = s, .number = number, .kept = true };

	set_path(&f, directory, kind);
	f.fd = openat(s->contexts_fd, f.path, (s->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW);
	if (f.fd < 0 && errno == ENOENT)
		return fail(err, E_NOT_FOUND, "a context's file is gone");
	if (f.fd < 0)
		return store_fail_errno(s, 0, err, "open a context's file");
	*ret_file = f;
	return OK;
}

void context_file_close(struct context_file *f)
{
	closep(&f->fd);
	if (f->path[0] && !f->kept)
		unlinkat(f->store->contexts_fd, f->path, 0);
	*f = (struct context_file)CONTEXT_FILE_INIT;
}

int context_file_write(const struct context_file *f, const void *data, size_t len, uint64_t offset, struct err *err)
{
	const uint8_t *at = data;

	while (len) {
		ssize_t n = pwrite(f->fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n ? errno : ENOSPC;
			return store_fail_errno(f->store, (int64_t)len, err, "write a context's file");
		}
		at += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return OK;
}

int context_file_map(const struct context_file *f, size_t len, const void **ret_map, struct err *err)
{
	void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, f->fd, 0);

	if (map == MAP_FAILED)
		return fail_errno(err, "map a context's file of %zu bytes", len);
	*ret_map = map;
	return OK;
}

int context_file_size(const struct context_file *f, int64_t *ret_size, struct err *err)
{
	struct stat st;

	if (fstat(f->fd, &st))
		return fail_errno(err, "size of a context's file");
	*ret_size = st.st_size;
	return OK;
}
