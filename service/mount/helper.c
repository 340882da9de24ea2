#include "service/mount/helper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "proto/runtime/spawn.h"

enum { PATIENCE_MS = 20000, SAID_MAX = 256 };

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

int helper_run(const char *const *argv, int gift, struct err *err)
{
	CLEANUP(closep) int said = memfd_create("said", MFD_CLOEXEC);
	const struct spawn s = {
		.program = argv[0],
		.argv = argv,
		.fds = { -1, said, said, [HELPER_GIFT_FD] = gift },
		.n_fds = HELPER_GIFT_FD + (gift >= 0),
		.group = SPAWN_OWN_SESSION,
	};
	char words[SAID_MAX];
	int status = 0, number;
	pid_t pid;

	if (said < 0)
		return fail_errno(err, "start %s", argv[0]);
	number = spawn_program(&s, &pid);
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
