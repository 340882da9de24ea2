#include "proto/runtime/spawn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

/* Copies of the descriptors that dup2(2) onto another could overwrite before their turn. */
struct moved {
	int fds[SPAWN_FDS_MAX];
};

static int moved_make(const struct spawn *s, struct moved *m)
{
	for (size_t i = 0; i < SPAWN_FDS_MAX; i++)
		m->fds[i] = -1;
	for (size_t i = 0; i < s->n_fds; i++) {
		if (s->fds[i] < 0 || s->fds[i] >= (int)s->n_fds)
			continue;
		m->fds[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, (int)s->n_fds);
		if (m->fds[i] < 0)
			return errno;
	}
	return 0;
}

static void moved_close(const struct moved *m)
{
	for (size_t i = 0; i < SPAWN_FDS_MAX; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
}

static int place_descriptors(posix_spawn_file_actions_t *actions, const struct spawn *s, const struct moved *m)
{
	int number = 0;

	for (size_t i = 0; !number && i < s->n_fds; i++) {
		int fd = m->fds[i] >= 0 ? m->fds[i] : s->fds[i];

		number = fd < 0 ? posix_spawn_file_actions_addopen(actions, (int)i, "/dev/null", O_RDWR, 0)
				: posix_spawn_file_actions_adddup2(actions, fd, (int)i);
	}
	if (!number)
		number = posix_spawn_file_actions_addclosefrom_np(actions, (int)s->n_fds);
	if (!number && s->directory)
		number = posix_spawn_file_actions_addchdir_np(actions, s->directory);
	return number;
}

static int set_attributes(posix_spawnattr_t *attr, enum spawn_group group)
{
	static const short flags[] = {
		[SPAWN_IN_OURS] = 0, [SPAWN_OWN_GROUP] = POSIX_SPAWN_SETPGROUP, [SPAWN_OWN_SESSION] = POSIX_SPAWN_SETSID
	};
	sigset_t all, none;
	int number;

	sigfillset(&all);
	sigemptyset(&none);
	number = posix_spawnattr_setsigdefault(attr, &all);
	if (!number)
		number = posix_spawnattr_setsigmask(attr, &none);
	if (!number)
		number = posix_spawnattr_setpgroup(attr, 0);
	if (!number)
		number = posix_spawnattr_setflags(
			attr, (short)(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | flags[group]));
	return number;
}

static int spawn(const struct spawn *s, const struct moved *m, pid_t *ret_pid)
{
	char *const *environment = s->environment ? (char *const *)s->environment : environ;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int number = posix_spawn_file_actions_init(&actions);

	if (number)
		return number;
	number = posix_spawnattr_init(&attr);
	if (!number) {
		number = place_descriptors(&actions, s, m);
		if (!number)
			number = set_attributes(&attr, s->group);
		if (!number)
			number = posix_spawnp(ret_pid, s->program, &actions, &attr, (char *const *)s->argv,
					      environment);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&actions);
	return number;
}

int spawn_program(const struct spawn *s, pid_t *ret_pid)
{
	struct moved moved;
	int number;

	assert(s->n_fds <= SPAWN_FDS_MAX);
	number = moved_make(s, &moved);
	if (!number)
		number = spawn(s, &moved, ret_pid);
	moved_close(&moved);
	return number;
}
