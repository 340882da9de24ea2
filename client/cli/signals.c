#include <signal.h>
#include <termios.h>

#include "client/cli/cli.h"

static struct termios saved;
static volatile sig_atomic_t must_restore;
static const char *volatile unfinished, *volatile last_words;
static volatile sig_atomic_t interrupts = -1, interrupted;

/* Tells whoever waits for it, once. */
static bool tell(int number)
{
	const uint64_t one = 1;
	int fd = interrupts;

	if (fd < 0)
		return false;
	interrupts = -1;
	interrupted = number;
	return write(fd, &one, sizeof one) == sizeof one;
}

/* Only what is safe in a handler. */
static void end(int number)
{
	if (tell(number))
		return;
	if (must_restore)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	if (unfinished)
		unlink(unfinished);
	if (last_words && write(STDERR_FILENO, last_words, strlen(last_words)) < 0)
		_exit(128 + number); /* nobody reads them */
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

void signals_say(const char *text)
{
	last_words = text;
}

void signals_remove_file(const char *path)
{
	unfinished = path;
}

void signals_tell(int eventfd)
{
	interrupts = eventfd;
}

int signals_told(void)
{
	return interrupted;
}
