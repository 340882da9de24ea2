/*
 * The shell in a step that failed (--debug-shell): the user's terminal in raw mode, its bytes and
 * its size to the service, what comes to standard output.
 *
 * A thread of its own reads standard input. It begins with the first ShellOutput.
 */
#ifndef CLIENT_CLI_BUILD_SHELL_H
#define CLIENT_CLI_BUILD_SHELL_H

#include <pthread.h>
#include <termios.h>

#include "imaged/v1/build.pb-c.h"
#include "proto/runtime/mem.h"

struct build_shell {
	void *stream; /* first argument of: */
	int (*send)(void *stream, const Imaged__V1__BuildRequest *request, struct err *err);

	pthread_t thread;
	bool running, raw;
	struct termios saved;
	int over; /* eventfd */
};

int build_shell_output(struct build_shell *s, const Imaged__V1__ShellOutput *m, struct err *err);
/* Puts the terminal back. Fine when there was none. */
void build_shell_end(struct build_shell *s);

#endif
