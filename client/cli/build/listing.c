#include "client/cli/build/listing.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "client/cli/file_error.h"

/* Kernels before 6.13 have times as coarse as their clock's tick; some file systems know
 * seconds only. */
enum { TICK_MS = 20, COARSE_MS = 2000 };

int listing_fail(const struct listing *l, const char *verb, struct bytes path, struct err *err)
{
	CLEANUP(freep) char *name = NULL;
	int number = errno;

	name = path.len ? format("%s/%.*s", l->root, (int)path.len, (const char *)path.data) : strdup(l->root);
	errno = number;
	return fail_file(err, verb, name ? name : l->root);
}

void listing_free(struct listing *l)
{
	closep(&l->fd);
	free(l->root);
	free(l->entries);
	arena_free(&l->memory);
	*l = (struct listing)LISTING_INIT;
}

/* ---- stamps ------------------------------------------------------------------------ */

/* Each bit of the value reaches each bit of the sum. */
static uint64_t mix(uint64_t sum, uint64_t value)
{
	sum ^= value + UINT64_C(0x9e3779b97f4a7c15) + (sum << 6) + (sum >> 2);
	sum = (sum ^ sum >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	sum = (sum ^ sum >> 27) * UINT64_C(0x94d049bb133111eb);
	return sum ^ sum >> 31;
}

uint64_t listing_stamp(const struct statx *st)
{
	uint64_t sum = mix((uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor, st->stx_ino);

	sum = mix(sum, st->stx_size);
	sum = mix(mix(sum, (uint64_t)st->stx_mtime.tv_sec), st->stx_mtime.tv_nsec);
	sum = mix(mix(sum, (uint64_t)st->stx_ctime.tv_sec), st->stx_ctime.tv_nsec);
	return sum ? sum : 1;
}

bool listing_is_unsettled(const struct statx *st)
{
	int64_t step = st->stx_ctime.tv_nsec ? TICK_MS : COARSE_MS, age;
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now))
		return true;
	age = (now.tv_sec - st->stx_ctime.tv_sec) * 1000 + (now.tv_nsec - (int64_t)st->stx_ctime.tv_nsec) / 1000000;
	return age < step;
}

/* ---- one file ------------------------------------------------------------------------ */

int listing_open(const struct listing *l, size_t index, int *ret_fd, uint64_t *ret_stamp, struct err *err)
{
	const struct context_entry *e = &l->entries[index];
	const struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
				      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	CLEANUP(closep) int fd = (int)syscall(SYS_openat2, l->fd, e->path.data, &how, sizeof how);
	struct statx st;

	if (fd < 0)
		return listing_fail(l, "open", e->path, err);
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st))
		return listing_fail(l, "stat", e->path, err);
	*ret_stamp = S_ISREG(st.stx_mode) ? listing_stamp(&st) : 0;
	*ret_fd = take_fd(&fd);
	return OK;
}
