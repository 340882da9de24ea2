#include "client/cli/prompt.h"

#include <ctype.h>
#include <termios.h>

#include "client/cli/cli.h"

bool prompt_is_possible(void)
{
	return isatty(STDIN_FILENO);
}

/* Byte by byte, so that nothing behind the line is taken. */
static int read_line(struct buf *out, struct err *err)
{
	char c;

	for (;;) {
		ssize_t n = read(STDIN_FILENO, &c, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read from standard input");
		if (n == 0)
			return out->len ? OK : fail(err, E_CANCELLED, "end of input");
		if (c == '\n')
			return buf_ok(out) ? OK : fail(err, E_LIMIT, "the line is too long");
		buf_putc(out, c);
	}
}

static int ask(const char *question, struct buf *out, struct err *err)
{
	cli_print("%s", question);
	return read_line(out, err);
}

/* Nothing is echoed before the question stands: who answers it at once is not seen either. */
static int ask_hidden(const char *question, struct buf *out, struct err *err)
{
	struct termios saved, hidden;
	int r;

	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return ask(question, out, err);
	hidden = saved;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	signals_restore_terminal(&saved);
	tcsetattr(STDIN_FILENO, TCSANOW, &hidden);
	r = ask(question, out, err);
	tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	signals_restore_terminal(NULL);
	return r;
}

int prompt_line(const char *question, bool echo, struct buf *out, struct err *err)
{
	return echo ? ask(question, out, err) : ask_hidden(question, out, err);
}

bool prompt_confirm(const char *message)
{
	CLEANUP(buf_free) struct buf line = BUF_INIT(4096);
	const char *answer;
	size_t len;

	cli_print("%s\nAre you sure you want to continue? [y/N] ", message);
	if (read_line(&line, NULL))
		return false;
	answer = buf_text(&line) + strspn(buf_text(&line), " \t\r");
	for (len = strlen(answer); len && isspace((unsigned char)answer[len - 1]); len--)
		;
	return len == 1 && (*answer == 'y' || *answer == 'Y');
}
