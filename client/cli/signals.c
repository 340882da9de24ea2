#include <signal.h>
#include <termios.h>

#include "client/cli/cli.h"

static struct termios saved;
static volatile sig_atomic_t must_restore;
static const char *volatile unfinished;

/* Only what is safe in a handler. */
static void end(int number)
{
	if (must_restore)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	if (unfinished)
		unlink(unfinished);
	_exit(128 + number);
}

void signals_install(void)
{
	struct sigaction action = { .sa_handler = end };

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	/* Sockets and pipes report it as EPIPE. */
	signal(SIGPIPE, SIG_IGN);
}

void signals_restore_terminal(const struct termios *settings)
{
	must_restore = 0;
	if (!settings)
		return;
	saved = *settings;
	must_restore = 1;
}

void signals_remove_file(const char *path)
{
	unfinished = path;
}
