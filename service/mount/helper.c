#include "service/mount/helper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

enum { PATIENCE_MS = 20000, SAID_MAX = 256 };

/* ---- start -------------------------------------------------------------------- */

/* All of these return 0 or an errno. */
static int place_descriptors(posix_spawn_file_actions_t *actions, int said, int gift)
{
	int number = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);

	if (!number)
		number = posix_spawn_file_actions_adddup2(actions, said, STDOUT_FILENO);
	if (!number)
		number = posix_spawn_file_actions_adddup2(actions, said, STDERR_FILENO);
	if (!number && gift >= 0)
		number = posix_spawn_file_actions_adddup2(actions, gift, HELPER_GIFT_FD);
	if (!number)
		number = posix_spawn_file_actions_addclosefrom_np(actions, HELPER_GIFT_FD + (gift >= 0));
	return number;
}

/* Default signals, and a session of its own: what stops us does not stop it. */
static int set_attributes(posix_spawnattr_t *attr)
{
	sigset_t all, none;
	int number;

	sigfillset(&all);
	sigemptyset(&none);
	number = posix_spawnattr_setsigdefault(attr, &all);
	if (!number)
		number = posix_spawnattr_setsigmask(attr, &none);
	if (!number)
		number = posix_spawnattr_setflags(attr,
						  POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
	return number;
}

static int spawn(char *const *argv, int said, int gift, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int number = posix_spawn_file_actions_init(&actions);

	if (number)
		return number;
	number = posix_spawnattr_init(&attr);
	if (!number) {
		number = place_descriptors(&actions, said, gift);
		if (!number)
			number = set_attributes(&attr);
		if (!number)
			number = posix_spawnp(ret_pid, argv[0], &actions, &attr, argv, environ);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&actions);
	return number;
}

/* ---- end ------------------------------------------------------------------------ */

/* One that hangs is killed. Returns whether it ended by itself. */
static bool await_end(pid_t pid, int *ret_status)
{
	CLEANUP(closep) int fd = pidfd_open(pid, 0);
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	bool ended = fd >= 0 && poll(&wait, 1, PATIENCE_MS) == 1;

	if (!ended)
		kill(pid, SIGKILL);
	while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
		;
	return ended;
}

/* The last line that it wrote, which is the one that says why. */
static void last_words(int said, char out[SAID_MAX])
{
	off_t size = lseek(said, 0, SEEK_END);
	ssize_t n = pread(said, out, SAID_MAX - 1, size > SAID_MAX - 1 ? size - (SAID_MAX - 1) : 0);
	char *line;

	while (n > 0 && out[n - 1] == '\n')
		n--;
	out[n > 0 ? n : 0] = 0;
	line = strrchr(out, '\n');
	if (line)
		memmove(out, line + 1, strlen(line));
	for (char *c = out; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
}

int helper_run(char *const *argv, int gift, struct err *err)
{
	CLEANUP(closep) int said = memfd_create("said", MFD_CLOEXEC);
	CLEANUP(closep) int given = gift < 0 ? -1 : fcntl(gift, F_DUPFD_CLOEXEC, HELPER_GIFT_FD + 1);
	char words[SAID_MAX];
	int status = 0, number;
	pid_t pid;

	if (said < 0 || (gift >= 0 && given < 0))
		return fail_errno(err, "start %s", argv[0]);
	number = spawn(argv, said, given, &pid);
	if (number == ENOENT)
		return fail(err, E_CANNOT_MOUNT, "the program %s is not installed", argv[0]);
	if (number)
		return fail(err, E_CANNOT_MOUNT, "start %s: %s", argv[0], strerrordesc_np(number));
	if (!await_end(pid, &status))
		return fail(err, E_CANNOT_MOUNT, "%s has not begun after %d s", argv[0], PATIENCE_MS / 1000);
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return OK;
	last_words(said, words);
	return fail(err, E_CANNOT_MOUNT, "%s: %s", argv[0], *words ? words : "failed without a word");
}
