#include "client/cli/build/shell.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "client/cli/cli.h"

enum { PIECE = 16 * 1024, SIZE_MS = 250 };

struct size {
	int columns, rows;
};

static int send_input(struct build_shell *s, struct bytes data, const struct size *size, bool end)
{
	Imaged__V1__BuildRequest m = IMAGED__V1__BUILD_REQUEST__INIT;
	Imaged__V1__ShellInput input = IMAGED__V1__SHELL_INPUT__INIT;

	input.data = (ProtobufCBinaryData){ data.len, (uint8_t *)data.data };
	input.columns = size ? (uint32_t)size->columns : 0;
	input.rows = size ? (uint32_t)size->rows : 0;
	input.end = end;
	m.request_case = IMAGED__V1__BUILD_REQUEST__REQUEST_SHELL;
	m.shell = &input;
	return s->send(s->stream, &m, NULL);
}

static struct size size_now(void)
{
	return (struct size){ terminal_width(STDOUT_FILENO), terminal_height(STDOUT_FILENO) };
}

/* False: there is no more to read, or nobody takes it. */
static bool pass_on(struct build_shell *s, uint8_t piece[PIECE])
{
	ssize_t n = read(STDIN_FILENO, piece, PIECE);

	if (n < 0 && errno == EINTR)
		return true;
	if (n > 0)
		return send_input(s, (struct bytes){ piece, (size_t)n }, NULL, false) == OK;
	send_input(s, (struct bytes){ 0 }, NULL, true);
	return false;
}

static void *run(void *shell)
{
	struct build_shell *s = shell;
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = s->over, .events = POLLIN } };
	struct size size = size_now();
	uint8_t piece[PIECE];
	bool more = send_input(s, (struct bytes){ 0 }, &size, false) == OK;

	while (more) {
		int n = poll(fds, ARRAY_LEN(fds), SIZE_MS);
		struct size now = size_now();

		if (n > 0 && fds[1].revents)
			break;
		if (now.columns != size.columns || now.rows != size.rows) {
			size = now;
			more = send_input(s, (struct bytes){ 0 }, &size, false) == OK;
		}
		if (more && n > 0 && fds[0].revents)
			more = pass_on(s, piece);
	}
	return NULL;
}

static void make_raw(struct build_shell *s)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &s->saved) < 0)
		return;
	raw = s->saved;
	cfmakeraw(&raw);
	signals_restore_terminal(&s->saved);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	s->raw = true;
}

static int start(struct build_shell *s, struct err *err)
{
	s->over = eventfd(0, EFD_CLOEXEC);
	if (s->over < 0)
		return fail_errno(err, "make an eventfd");
	errno = pthread_create(&s->thread, NULL, run, s);
	if (errno) {
		close(s->over);
		return fail_errno(err, "start a thread");
	}
	s->running = true;
	make_raw(s);
	return OK;
}

int build_shell_output(struct build_shell *s, const Imaged__V1__ShellOutput *m, struct err *err)
{
	if (!s->running && !m->end && start(s, err) < 0)
		return err->code;
	if (m->data.len)
		cli_write(m->data.data, m->data.len);
	if (m->end)
		build_shell_end(s);
	return OK;
}

void build_shell_end(struct build_shell *s)
{
	if (!s->running)
		return;
	eventfd_write(s->over, 1);
	pthread_join(s->thread, NULL);
	close(s->over);
	if (s->raw) {
		tcsetattr(STDIN_FILENO, TCSANOW, &s->saved);
		signals_restore_terminal(NULL);
	}
	s->running = s->raw = false;
}
