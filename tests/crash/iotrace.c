/*
 * An LD_PRELOAD library that sees every change a daemon makes below one directory.
 *
 *   IOTRACE_ROOT     the directory
 *   IOTRACE_LOG      record: each change, in order, with its bytes (format below)
 *   IOTRACE_CONTROL  kill: a file of struct control, shared with the test, which
 *                    counts changes, socket sends, calls that mount and programs that
 *                    are started, and raises SIGKILL before number kill_at (torn:
 *                    after half of its bytes)
 *   IOTRACE_BOOT_ID  what /proc/sys/kernel/random/boot_id shall say: a replayed
 *                    power loss must look like another boot
 *
 * Calls below the root happen one at a time while it records, so that the log has
 * the order of the disk. Children are not traced: the environment is cleaned. A file
 * without a name (O_TMPFILE) may be written by one: its bytes are recorded when it is
 * opened again by way of /proc, which says that they are all there.
 *
 * The log: struct event, then `names` bytes of names, then `len` bytes of data.
 * powerloss.py reads it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
	EV_CREATE = 1, /* dir, name, ino */
	EV_MKDIR,      /* dir, name, ino */
	EV_WRITE,      /* ino, offset, data; flag 1: synchronous */
	EV_TRUNCATE,   /* ino, offset = new size */
	EV_ALLOCATE,   /* ino, offset = size at least */
	EV_LINK,       /* dir, name, ino */
	EV_UNLINK,     /* dir, name */
	EV_RENAME,     /* dir, name -> dir2, name2 */
	EV_SYNC,       /* ino: fsync of a file or directory */
	EV_SYNCFS,
	EV_UNNAMED, /* ino: a file without a name, whose bytes follow as an EV_WRITE */
};

struct event {
	uint32_t kind, flags;
	uint64_t ino, dir, dir2, offset, len;
	uint32_t name_len, name2_len;
};

struct control {
	_Atomic uint64_t count, kill_at, torn;
};

static char root[PATH_MAX];
static size_t root_len;
static dev_t root_dev;
static int log_fd = -1;
static struct control *control;
static const char *boot_id_path;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

/* syscall() itself is replaced below; RAW is the C library's. */
static long (*libc_syscall(void))(long, ...)
{
	static long (*_Atomic real)(long, ...);
	long (*found)(long, ...) = atomic_load(&real);

	if (!found) {
		found = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
		atomic_store(&real, found);
	}
	return found;
}

#define RAW(...) libc_syscall()(__VA_ARGS__)

#define REAL(ret, name, ...)                    \
	static ret (*real_##name)(__VA_ARGS__); \
	if (!real_##name)                       \
	real_##name = (ret(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void)
{
	const char *dir = getenv("IOTRACE_ROOT"), *path = getenv("IOTRACE_LOG"), *file = getenv("IOTRACE_CONTROL");
	struct stat st;

	boot_id_path = getenv("IOTRACE_BOOT_ID");
	boot_id_path = boot_id_path ? strdup(boot_id_path) : NULL;
	unsetenv("LD_PRELOAD");
	if (dir && realpath(dir, root) && !stat(root, &st)) {
		root_len = strlen(root);
		root_dev = st.st_dev;
	}
	if (path)
		log_fd = (int)RAW(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (file) {
		int fd = (int)RAW(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC);
		void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (p != MAP_FAILED)
			control = p;
	}
}

/* ---- what is ours ------------------------------------------------------------ */

/* The path of a descriptor, if it lies below the root. */
static bool below_root(int fd)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	if (!root_len || fd < 0)
		return false;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = RAW(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
	return n >= (ssize_t)root_len && !memcmp(path, root, root_len) &&
	       (path[root_len] == '/' || n == (ssize_t)root_len);
}

static bool file_of(int fd, struct stat *st)
{
	return below_root(fd) && !fstat(fd, st) && st->st_dev == root_dev &&
	       (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode));
}

/* Opens the directory in which `path` (relative to dirfd) lies and finds the last
 * part of the path; -1 when it is not below the root. */
static int parent_of(int dirfd, const char *path, const char **ret_name)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd;

	*ret_name = slash ? slash + 1 : path;
	if (!root_len || !**ret_name || (slash && (size_t)(slash - path) >= sizeof dir))
		return -1;
	if (slash) {
		memcpy(dir, path, (size_t)(slash - path));
		dir[slash - path] = 0;
		if (slash == path)
			strcpy(dir, "/");
	} else {
		strcpy(dir, ".");
	}
	fd = (int)RAW(SYS_openat, dirfd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && !below_root(fd)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static uint64_t ino_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

static uint64_t ino_at(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) ? 0 : st.st_ino;
}

/* ---- kill and record ----------------------------------------------------------- */

/* True when this is the call in whose middle the process dies. */
static bool counted(void)
{
	uint64_t n, at;

	if (!control)
		return false;
	n = atomic_fetch_add(&control->count, 1) + 1;
	at = atomic_load(&control->kill_at);
	return at && n >= at;
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

static void point(void)
{
	if (counted())
		die();
}

static void emit(struct event *e, const char *name, const char *name2, const struct iovec *data, int n_data)
{
	struct iovec parts[3 + 64];
	int n = 0, saved = errno;

	if (log_fd < 0)
		return;
	e->name_len = name ? (uint32_t)strlen(name) : 0;
	e->name2_len = name2 ? (uint32_t)strlen(name2) : 0;
	parts[n++] = (struct iovec){ e, sizeof *e };
	parts[n++] = (struct iovec){ (void *)name, e->name_len };
	parts[n++] = (struct iovec){ (void *)name2, e->name2_len };
	for (int i = 0; i < n_data && i < 64; i++)
		parts[n++] = data[i];
	if (RAW(SYS_writev, log_fd, parts, n) < 0)
		abort(); /* a test without its log says nothing */
	errno = saved;
}

static void emit_plain(enum kind kind, uint64_t ino, uint64_t offset)
{
	struct event e = { .kind = kind, .ino = ino, .offset = offset };

	emit(&e, NULL, NULL, NULL, 0);
}

static void emit_name(enum kind kind, uint64_t dir, const char *name, uint64_t ino)
{
	struct event e = { .kind = kind, .ino = ino, .dir = dir };

	emit(&e, name, NULL, NULL, 0);
}

/* `done` bytes of the vector, so that the log has what was written. */
static void emit_write(int fd, uint64_t ino, uint64_t offset, const struct iovec *v, int n, size_t done)
{
	struct event e = { .kind = EV_WRITE, .ino = ino, .offset = offset, .len = done };
	struct iovec cut[64];
	int flags = (int)RAW(SYS_fcntl, fd, F_GETFL), used = 0;

	e.flags = flags >= 0 && (flags & O_DSYNC) ? 1 : 0;
	for (int i = 0; i < n && i < 64 && done; i++) {
		cut[used] = v[i];
		if (cut[used].iov_len > done)
			cut[used].iov_len = done;
		done -= cut[used++].iov_len;
	}
	emit(&e, NULL, NULL, cut, used);
}

/* ---- writes ---------------------------------------------------------------------- */

/* offset -1: where the descriptor stands. */
static ssize_t traced_write(int fd, const struct iovec *v, int n, off_t offset)
{
	struct stat st;
	ssize_t done;
	off_t at = offset;

	if (!file_of(fd, &st)) /* pipes, sockets, logs */
		return offset < 0 ? RAW(SYS_writev, fd, v, n) : RAW(SYS_pwritev, fd, v, n, offset, 0);
	pthread_mutex_lock(&order);
	if (counted()) {
		if (atomic_load(&control->torn) && n == 1 && v->iov_len > 1 && offset >= 0)
			RAW(SYS_pwrite64, fd, v->iov_base, v->iov_len / 2, offset);
		die();
	}
	if (offset < 0)
		at = RAW(SYS_fcntl, fd, F_GETFL) & O_APPEND ? st.st_size : RAW(SYS_lseek, fd, 0, SEEK_CUR);
	done = offset < 0 ? RAW(SYS_writev, fd, v, n) : RAW(SYS_pwritev, fd, v, n, offset, 0);
	if (done > 0)
		emit_write(fd, st.st_ino, (uint64_t)at, v, n, (size_t)done);
	pthread_mutex_unlock(&order);
	return done;
}

ssize_t write(int fd, const void *data, size_t len)
{
	struct iovec v = { (void *)data, len };

	return traced_write(fd, &v, 1, -1);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	return traced_write(fd, v, n, -1);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
	struct iovec v = { (void *)data, len };

	return traced_write(fd, &v, 1, offset);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
	return pwrite64(fd, data, len, offset);
}

ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t offset)
{
	return traced_write(fd, v, n, offset);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t offset)
{
	return traced_write(fd, v, n, offset);
}

/* One call on one file: counted, done, recorded. */
#define ON_FILE(fd, call, kind, offset)                                   \
	do {                                                              \
		struct stat st_;                                          \
		long r_;                                                  \
		if (!file_of(fd, &st_))                                   \
			return (int)(call);                               \
		pthread_mutex_lock(&order);                               \
		point();                                                  \
		r_ = (call);                                              \
		if (!r_)                                                  \
			emit_plain(kind, st_.st_ino, (uint64_t)(offset)); \
		pthread_mutex_unlock(&order);                             \
		return (int)r_;                                           \
	} while (0)

int ftruncate64(int fd, off64_t size)
{
	struct stat st;

	if (!fstat(fd, &st) && !st.st_nlink) /* what becomes of it is recorded later */
		return (int)RAW(SYS_ftruncate, fd, size);
	ON_FILE(fd, RAW(SYS_ftruncate, fd, size), EV_TRUNCATE, size);
}

int ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t len)
{
	if (mode) /* keeps the size or punches: no bytes that matter */
		return (int)RAW(SYS_fallocate, fd, mode, offset, len);
	ON_FILE(fd, RAW(SYS_fallocate, fd, mode, offset, len), EV_ALLOCATE, offset + len);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	return fallocate64(fd, mode, offset, len);
}

int posix_fallocate64(int fd, off64_t offset, off64_t len)
{
	return fallocate64(fd, 0, offset, len) ? errno : 0;
}

int posix_fallocate(int fd, off_t offset, off_t len)
{
	return posix_fallocate64(fd, offset, len);
}

int fsync(int fd)
{
	ON_FILE(fd, RAW(SYS_fsync, fd), EV_SYNC, 0);
}

int fdatasync(int fd)
{
	ON_FILE(fd, RAW(SYS_fdatasync, fd), EV_SYNC, 0);
}

int syncfs(int fd)
{
	ON_FILE(fd, RAW(SYS_syncfs, fd), EV_SYNCFS, 0);
}

/* ---- names ------------------------------------------------------------------------- */

static void emit_unnamed(int fd)
{
	struct stat st;
	void *bytes;

	if (!file_of(fd, &st) || !S_ISREG(st.st_mode) || st.st_nlink)
		return;
	bytes = mmap(NULL, (size_t)st.st_size + 1, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		abort();
	pthread_mutex_lock(&order);
	emit_plain(EV_UNNAMED, st.st_ino, 0);
	emit_write(fd, st.st_ino, 0, &(struct iovec){ bytes, (size_t)st.st_size }, 1, (size_t)st.st_size);
	pthread_mutex_unlock(&order);
	munmap(bytes, (size_t)st.st_size + 1);
}

static long open_traced(int dirfd, const char *path, int flags, mode_t mode,
			long (*call)(int, const char *, int, mode_t, void *), void *arg)
{
	const char *name;
	struct stat st;
	int dir;
	long fd;
	bool existed;

	if (boot_id_path && !strcmp(path, "/proc/sys/kernel/random/boot_id"))
		return call(AT_FDCWD, boot_id_path, flags, mode, arg);
	if (!strncmp(path, "/proc/self/fd/", 14) && !strchr(path + 14, '/')) {
		fd = call(dirfd, path, flags, mode, arg);
		emit_unnamed((int)fd);
		return fd;
	}
	if (!(flags & (O_CREAT | O_TRUNC)) || (dir = parent_of(dirfd, path, &name)) < 0)
		return call(dirfd, path, flags, mode, arg);
	pthread_mutex_lock(&order);
	point();
	existed = ino_at(dir, name) != 0;
	fd = call(dirfd, path, flags, mode, arg);
	if (fd >= 0 && !fstat((int)fd, &st)) {
		if (!existed)
			emit_name(EV_CREATE, ino_of(dir), name, st.st_ino);
		else if (flags & O_TRUNC)
			emit_plain(EV_TRUNCATE, st.st_ino, 0);
	}
	pthread_mutex_unlock(&order);
	close(dir);
	return fd;
}

static long call_openat(int dirfd, const char *path, int flags, mode_t mode, void *arg)
{
	(void)arg;
	return RAW(SYS_openat, dirfd, path, flags, mode);
}

#define OPEN_MODE                            \
	mode_t mode = 0;                     \
	if (flags & (O_CREAT | O_TMPFILE)) { \
		va_list ap;                  \
		va_start(ap, flags);         \
		mode = va_arg(ap, mode_t);   \
		va_end(ap);                  \
	}

int openat64(int dirfd, const char *path, int flags, ...)
{
	OPEN_MODE
	return (int)open_traced(dirfd, path, flags, mode, call_openat, NULL);
}

int openat(int dirfd, const char *path, int flags, ...)
{
	OPEN_MODE
	return (int)open_traced(dirfd, path, flags, mode, call_openat, NULL);
}

int open64(const char *path, int flags, ...)
{
	OPEN_MODE
	return (int)open_traced(AT_FDCWD, path, flags, mode, call_openat, NULL);
}

int open(const char *path, int flags, ...)
{
	OPEN_MODE
	return (int)open_traced(AT_FDCWD, path, flags, mode, call_openat, NULL);
}

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	return open(path, flags);
}

int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
	return open(path, flags);
}

int __openat_2(int dirfd, const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags)
{
	return openat(dirfd, path, flags);
}

int __openat64_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags)
{
	return openat(dirfd, path, flags);
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
	const char *name;
	int dir = parent_of(dirfd, path, &name), r;

	if (dir < 0)
		return (int)RAW(SYS_mkdirat, dirfd, path, mode);
	pthread_mutex_lock(&order);
	point();
	r = (int)RAW(SYS_mkdirat, dirfd, path, mode);
	if (!r)
		emit_name(EV_MKDIR, ino_of(dir), name, ino_at(dir, name));
	pthread_mutex_unlock(&order);
	close(dir);
	return r;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int unlinkat(int dirfd, const char *path, int flags)
{
	const char *name;
	int dir = parent_of(dirfd, path, &name), r;

	if (dir < 0)
		return (int)RAW(SYS_unlinkat, dirfd, path, flags);
	pthread_mutex_lock(&order);
	point();
	r = (int)RAW(SYS_unlinkat, dirfd, path, flags);
	if (!r)
		emit_name(EV_UNLINK, ino_of(dir), name, 0);
	pthread_mutex_unlock(&order);
	close(dir);
	return r;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	const char *name;
	int dir = parent_of(to_fd, to, &name), r;

	if (dir < 0)
		return (int)RAW(SYS_linkat, from_fd, from, to_fd, to, flags);
	pthread_mutex_lock(&order);
	point();
	r = (int)RAW(SYS_linkat, from_fd, from, to_fd, to, flags);
	if (!r)
		emit_name(EV_LINK, ino_of(dir), name, ino_at(dir, name));
	pthread_mutex_unlock(&order);
	close(dir);
	return r;
}

int link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	const char *name, *name2;
	int dir = parent_of(from_fd, from, &name), dir2 = parent_of(to_fd, to, &name2), r;
	struct event e = { .kind = EV_RENAME };

	if (dir >= 0 || dir2 >= 0) {
		pthread_mutex_lock(&order);
		point();
		e.ino = dir >= 0 ? ino_at(dir, name) : 0;
	}
	r = (int)RAW(SYS_renameat2, from_fd, from, to_fd, to, flags);
	if (dir >= 0 || dir2 >= 0) {
		e.dir = dir >= 0 ? ino_of(dir) : 0;
		e.dir2 = dir2 >= 0 ? ino_of(dir2) : 0;
		if (!r)
			emit(&e, name, name2, NULL, 0);
		pthread_mutex_unlock(&order);
	}
	if (dir >= 0)
		close(dir);
	if (dir2 >= 0)
		close(dir2);
	return r;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return renameat2(from_fd, from, to_fd, to, 0);
}

int rename(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* ---- raw system calls ---------------------------------------------------------------- */

/* The head of struct open_how. */
struct how {
	uint64_t flags, mode, resolve;
};

static long call_openat2(int dirfd, const char *path, int flags, mode_t mode, void *arg)
{
	const long *a = arg;

	(void)flags, (void)mode;
	return RAW(SYS_openat2, (long)dirfd, path, a[2], a[3]);
}

/* What has no wrapper in the C library goes through here. */
long syscall(long number, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_renameat2)
		return renameat2((int)a[0], (const char *)a[1], (int)a[2], (const char *)a[3], (unsigned)a[4]);
	if (number == SYS_openat2) {
		const struct how *how = (const void *)a[2];

		return open_traced((int)a[0], (const char *)a[1], (int)how->flags, 0, call_openat2, a);
	}
	return RAW(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- sockets: counted only ------------------------------------------------------------ */

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	REAL(ssize_t, sendmsg, int, const struct msghdr *, int);
	point();
	return real_sendmsg(fd, m, flags);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	REAL(ssize_t, send, int, const void *, size_t, int);
	point();
	return real_send(fd, data, len, flags);
}

/* ---- mounts: counted only; the disk knows nothing of them ------------------------------- */

int mount(const char *what, const char *where, const char *type, unsigned long flags, const void *data)
{
	point();
	return (int)RAW(SYS_mount, what, where, type, flags, data);
}

int umount2(const char *where, int flags)
{
	point();
	return (int)RAW(SYS_umount2, where, flags);
}

int fsopen(const char *type, unsigned flags)
{
	point();
	return (int)RAW(SYS_fsopen, type, flags);
}

int fsconfig(int fs, unsigned command, const char *key, const void *value, int aux)
{
	point();
	return (int)RAW(SYS_fsconfig, fs, command, key, value, aux);
}

int fsmount(int fs, unsigned flags, unsigned attributes)
{
	point();
	return (int)RAW(SYS_fsmount, fs, flags, attributes);
}

int move_mount(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	point();
	return (int)RAW(SYS_move_mount, from_fd, from, to_fd, to, flags);
}

/* Those of loop devices. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request >> 8 == 'L')
		point();
	return (int)RAW(SYS_ioctl, fd, request, arg);
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
		char *const argv[], char *const envp[])
{
	REAL(int, posix_spawn, pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
	     char *const[], char *const[]);
	point();
	return real_posix_spawn(pid, path, actions, attr, argv, envp);
}
