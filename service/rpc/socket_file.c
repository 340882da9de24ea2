#include "service/rpc/socket_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>

#include "proto/runtime/clock.h"

enum { SOCKET_MODE = 0660, LOCK_WAIT_MS = 5000, LOCK_RETRY_MS = 20 };

static int fill_address(const char *path, struct sockaddr_un *ret_address, struct err *err)
{
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (path[0] != '/')
		return fail(err, E_INVALID, "listen on '%s': a socket needs an absolute path", path);
	if (strlen(path) >= sizeof ret_address->sun_path)
		return fail(err, E_INVALID, "listen on '%s': a socket's path has at most %zu bytes", path,
			    sizeof ret_address->sun_path - 1);
	memcpy(ret_address->sun_path, path, strlen(path) + 1);
	return OK;
}

/* A lock on the directory needs no file of its own and ends with the process.
 * Anybody who can read the directory can hold it, so the wait has an end; flock
 * has no timed wait, so it is asked again and again. */
static int lock_directory(const char *path, int *ret_fd, struct err *err)
{
	CLEANUP(freep) char *dir = strndup(path, (size_t)(strrchr(path, '/') - path) + 1);
	CLEANUP(closep) int fd = -1;
	int64_t until = clock_monotonic_ms() + LOCK_WAIT_MS;
	struct timespec pause = { .tv_nsec = LOCK_RETRY_MS * 1000000 };

	if (!dir)
		return fail_nomem(err);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "listen on '%s': open its directory", path);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return fail_errno(err, "listen on '%s': lock its directory", path);
		if (clock_monotonic_ms() >= until)
			return fail(err, E_CONFLICT, "listen on '%s': another program has locked its directory", path);
		nanosleep(&pause, NULL);
	}
	*ret_fd = take_fd(&fd);
	return OK;
}

static bool answers(const struct sockaddr_un *address)
{
	CLEANUP(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return true; /* we cannot tell: steal nothing */
	return connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno != ECONNREFUSED;
}

static int clear_path(const struct sockaddr_un *address, struct err *err)
{
	const char *path = address->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? OK : fail_errno(err, "listen on '%s'", path);
	if (!S_ISSOCK(st.st_mode))
		return fail(err, E_CONFLICT, "listen on '%s': a file that is no socket is in the way", path);
	if (answers(address))
		return fail(err, E_CONFLICT, "listen on '%s': another server listens there", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return fail_errno(err, "listen on '%s': remove the stale socket", path);
	return OK;
}

/* fchmod before bind: the file is born without more rights than it shall have.
 * chmod after: the umask may have taken some. Nobody can connect before listen. */
static int bind_and_listen(int fd, const struct sockaddr_un *address, int backlog, struct err *err)
{
	const char *path = address->sun_path;
	int r;

	if (fchmod(fd, SOCKET_MODE) < 0)
		return fail_errno(err, "listen on '%s': set its mode", path);
	if (bind(fd, (const struct sockaddr *)address, sizeof *address) < 0)
		return fail_errno(err, "listen on '%s'", path);
	if (chmod(path, SOCKET_MODE) == 0 && listen(fd, backlog) == 0)
		return OK;
	r = fail_errno(err, "listen on '%s'", path);
	unlink(path);
	return r;
}

static int create(const struct sockaddr_un *address, int backlog, struct socket_file *ret_file, struct err *err)
{
	CLEANUP(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;
	int r;

	if (fd < 0)
		return fail_errno(err, "create a socket");
	r = bind_and_listen(fd, address, backlog, err);
	if (r < 0)
		return r;
	if (lstat(address->sun_path, &st) < 0)
		return fail_errno(err, "listen on '%s'", address->sun_path);
	*ret_file = (struct socket_file){ .fd = take_fd(&fd), .ours = true, .dev = st.st_dev, .ino = st.st_ino };
	snprintf(ret_file->path, sizeof ret_file->path, "%s", address->sun_path);
	return OK;
}

int socket_file_bind(const char *path, int backlog, struct socket_file *ret_file, struct err *err)
{
	CLEANUP(closep) int lock = -1;
	struct sockaddr_un address;
	int r;

	r = fill_address(path, &address, err);
	if (r == OK)
		r = lock_directory(path, &lock, err);
	if (r == OK)
		r = clear_path(&address, err);
	return r < 0 ? r : create(&address, backlog, ret_file, err);
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

int socket_file_adopt(int fd, struct socket_file *ret_file, struct err *err)
{
	struct sockaddr_un address = { 0 };
	socklen_t len = sizeof address;
	int flags;

	if (option(fd, SO_DOMAIN) != AF_UNIX || option(fd, SO_TYPE) != SOCK_STREAM || option(fd, SO_ACCEPTCONN) != 1)
		return fail(err, E_INVALID, "descriptor %d is no listening unix stream socket", fd);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return fail_errno(err, "adopt the socket on descriptor %d", fd);
	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return fail_errno(err, "adopt the socket on descriptor %d", fd);
	*ret_file = (struct socket_file){ .fd = fd };
	snprintf(ret_file->path, sizeof ret_file->path, "%.*s", (int)sizeof address.sun_path, address.sun_path);
	return OK;
}

void socket_file_close(struct socket_file *f)
{
	struct stat st;

	/* Removed before it is closed: while the socket lives, its inode number
	 * cannot be given to the socket of a successor. */
	if (f->ours && lstat(f->path, &st) == 0 && st.st_dev == f->dev && st.st_ino == f->ino)
		unlink(f->path);
	close(f->fd);
	f->fd = -1;
}
