#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "proto/runtime/mem.h"
#include "service/layer/erofs/check.h"
#include "service/layer/layer.h"

enum { WRITER_LOOKS = 500, WRITER_WAIT_MS = 2 };

static int reopen(int fd, int *ret_fd, struct err *err)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? fail_errno(err, "open the layer's image") : OK;
}

/* Of file systems that know no leases. There a worker that keeps its descriptor is not
 * found out; all local ones of Linux know them. */
static bool has_no_leases(int number)
{
	return number == EINVAL || number == ENOSYS || number == EOPNOTSUPP;
}

/* A read lease is given only while nobody has the file open for writing (fcntl(2)), by
 * whatever descriptor or mapping. A child that another thread is about to start has this
 * process's descriptors for a moment too: it is waited for. Who opens the file while the
 * lease is held would have a signal sent to us: one that is ignored. */
static int require_no_writer(int fd, struct err *err)
{
	fcntl(fd, F_SETSIG, SIGURG);
	for (int i = 0; fcntl(fd, F_SETLEASE, F_RDLCK) < 0; i++) {
		if (has_no_leases(errno))
			return OK;
		if (errno != EAGAIN)
			return fail_errno(err, "make sure that nobody writes to a layer's image");
		if (i == WRITER_LOOKS)
			return fail(err, E_WORKER, "a process still has a layer's image open for writing");
		poll(NULL, 0, WRITER_WAIT_MS);
	}
	fcntl(fd, F_SETLEASE, F_UNLCK);
	return OK;
}

static int check(int fd, const struct layer_image_facts *facts, struct cancel *cancel, struct err *err)
{
	struct erofs_summary summary;
	struct stat s;
	int rc;

	if (fstat(fd, &s) < 0)
		return fail_errno(err, "look at the layer's image");
	rc = erofs_check(fd, UINT64_MAX, cancel, &summary, err);
	if (rc != OK)
		return rc;
	if (s.st_size != facts->image_size || summary.root_is_opaque != facts->root_is_opaque)
		return fail(err, E_CORRUPT, "layer's image is not what imaged-layer says of it");
	return OK;
}

int layer_image_accept(int image, const struct layer_image_facts *facts, struct cancel *cancel, int *ret_fd,
		       struct err *err)
{
	CLEANUP(closep) int fd = -1;
	int rc = reopen(image, &fd, err);

	close(image);
	if (rc == OK)
		rc = require_no_writer(fd, err);
	if (rc == OK)
		rc = check(fd, facts, cancel, err);
	if (rc == OK)
		*ret_fd = take_fd(&fd);
	return rc;
}
