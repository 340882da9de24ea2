#include "client/cli/build/context_id.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "client/cli/file_error.h"

enum { KEY_BYTES = 32 };

static const char directory_name[] = "imagectl", key_name[] = "build-key";

/* ---- the key ------------------------------------------------------------------------ */

/* "" when the user has no home. */
static void state_directory(char out[PATH_MAX])
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int n = 0;

	out[0] = 0;
	if (state && *state == '/')
		n = snprintf(out, PATH_MAX, "%s", state);
	else if (home && *home == '/')
		n = snprintf(out, PATH_MAX, "%s/.local/state", home);
	if (n >= PATH_MAX)
		out[0] = 0;
}

static void make_directories(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0700);
		*slash = '/';
	}
	mkdir(path, 0700);
}

static bool read_key(int directory, uint8_t key[KEY_BYTES])
{
	CLEANUP(closep) int fd = openat(directory, key_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || st.st_uid != geteuid() || st.st_mode & 077)
		return false;
	return read(fd, key, KEY_BYTES) == KEY_BYTES;
}

/* Whole, or not at all: of two at once one wins, and both read that one's. */
static void write_key(int directory)
{
	CLEANUP(closep) int fd = openat(directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	uint8_t key[KEY_BYTES];
	char self[64];

	if (fd < 0 || getrandom(key, sizeof key, 0) != sizeof key || write(fd, key, sizeof key) != sizeof key)
		return;
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	(void)!linkat(AT_FDCWD, self, directory, key_name, AT_SYMLINK_FOLLOW);
}

static bool find_key(uint8_t key[KEY_BYTES])
{
	CLEANUP(closep) int fd = -1;
	char path[PATH_MAX];
	size_t len;

	state_directory(path);
	len = strlen(path);
	if (!len || len + sizeof directory_name + 1 > sizeof path)
		return false;
	snprintf(path + len, sizeof path - len, "/%s", directory_name);
	make_directories(path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read_key(fd, key))
		return true;
	write_key(fd);
	return read_key(fd, key);
}

/* ---- the id --------------------------------------------------------------------------- */

int context_id(const char *directory, struct digest *ret_id, struct err *err)
{
	CLEANUP(freep) char *real = realpath(directory, NULL);
	uint8_t key[KEY_BYTES];
	struct hasher h;

	if (!real)
		return fail_file(err, "lstat", directory);
	if (!find_key(key) && getrandom(key, sizeof key, 0) != sizeof key)
		return fail_errno(err, "random number of a build context");
	hasher_init(&h, DIGEST_SHA256);
	hasher_update(&h, key, sizeof key);
	hasher_update(&h, real, strlen(real));
	*ret_id = hasher_final(&h);
	wipe(key, sizeof key);
	return OK;
}
