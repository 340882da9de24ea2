/* Streams: what goes to stdout and stderr, and what happens when it cannot. */
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include "client/cli/cli.h"
#include "client/cli/progress.h"

static bool output_failed;

/* Somebody closed the pipe: end as every other tool does. */
static void die_of_pipe(void)
{
	signal(SIGPIPE, SIG_DFL);
	raise(SIGPIPE);
}

static bool write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

void cli_write(const void *data, size_t len)
{
	struct err err = ERR_INIT;

	if (output_failed || write_all(STDOUT_FILENO, data, len))
		return;
	output_failed = true;
	if (errno == EPIPE)
		die_of_pipe();
	fail_errno(&err, "write to standard output");
	cli_warn("%s\n", err.text);
}

static void __attribute__((format(printf, 2, 0))) vprint(int fd, const char *fmt, va_list ap)
{
	va_list again;
	char small[1024], *text = small;
	int n;

	va_copy(again, ap);
	n = vsnprintf(small, sizeof small, fmt, ap);
	if (n >= (int)sizeof small) {
		text = malloc((size_t)n + 1);
		if (text)
			vsnprintf(text, (size_t)n + 1, fmt, again);
	}
	va_end(again);
	if (text && n > 0) {
		if (fd == STDOUT_FILENO)
			cli_write(text, (size_t)n);
		else
			write_all(fd, text, (size_t)n);
	}
	if (text != small)
		free(text);
}

void cli_print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprint(STDOUT_FILENO, fmt, ap);
	va_end(ap);
}

void cli_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprint(STDERR_FILENO, fmt, ap);
	va_end(ap);
}

bool cli_output_failed(void)
{
	return output_failed;
}

int cli_fail(const struct err *err)
{
	cli_warn("%s\n", err->text);
	return err_exit_code(err->code);
}

void cli_call_error(struct buf *out, const struct err *err)
{
	if (err_prefix(err->code) == ERR_PREFIX_DAEMON)
		buf_puts(out, "Error response from daemon: ");
	buf_puts(out, err->text);
}

int cli_fail_call(const struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(4096);

	cli_call_error(&text, err);
	cli_warn("%s\n", buf_text(&text));
	return err_exit_code(err->code);
}

int terminal_width(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col;
}

int terminal_height(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_row;
}

int cli_output_width(void)
{
	int width = terminal_width(STDOUT_FILENO);

	return width ? width : 200;
}

void cli_progress(struct progress *p)
{
	p->terminal = isatty(STDOUT_FILENO);
	p->measure = cli_output_width;
	p->write = cli_write;
}
