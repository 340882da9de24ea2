/*
 * Starting a program with nothing of ours but the descriptors that it is given: signals have
 * their defaults, none is blocked, all other descriptors are closed.
 *
 * Threads: any.
 */
#ifndef PROTO_RUNTIME_SPAWN_H
#define PROTO_RUNTIME_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

enum { SPAWN_FDS_MAX = 8 };

enum spawn_group {
	SPAWN_IN_OURS,
	SPAWN_OWN_GROUP,   /* a terminal's ^C is for us, who end it ourselves */
	SPAWN_OWN_SESSION, /* what stops us does not stop it */
};

struct spawn {
	const char *program;		/* without a '/' it is looked for in our PATH */
	const char *const *argv;	/* NULL-terminated, like the next */
	const char *const *environment; /* NULL: ours */
	int fds[SPAWN_FDS_MAX];		/* what become 0, 1, 2 and so on; -1: /dev/null. They stay the caller's. */
	size_t n_fds;
	const char *directory; /* NULL: ours */
	enum spawn_group group;
};

/* 0, or why not, as in errno.h. */
int spawn_program(const struct spawn *s, pid_t *ret_pid);

#endif
