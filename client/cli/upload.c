#include "client/cli/upload.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "client/cli/file_error.h"
#include "proto/runtime/mem.h"

/* 1 when there is something to read, or the end of it; 0 after a silence. */
static int wait_input(const struct upload *u, struct err *err)
{
	struct pollfd fds[] = { { .fd = u->in->fd, .events = POLLIN }, { .fd = u->over, .events = POLLIN } };
	int n;

	do
		n = poll(fds, ARRAY_LEN(fds), u->silence_ms);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_file(err, "read", u->in->name);
	return fds[1].revents ? fail(err, E_ABORTED, "the call is over") : n > 0;
}

static int send_all(const struct upload *u, struct err *err)
{
	for (;;) {
		int readable = wait_input(u, err);
		size_t len = 0;

		if (readable < 0)
			return readable;
		if (readable && input_read(u->in, -1, INPUT_PIECE_BYTES, &len, err) < 0)
			return err->code;
		if (readable && !len)
			return u->close(u->stream, err);
		if (u->send(u->stream, u->in->piece, len, err) < 0)
			return err->code;
	}
}

static void *run(void *upload)
{
	struct upload *u = upload;

	send_all(u, &u->own);
	if (is_own_failure(&u->own))
		u->cancel(u->stream);
	return NULL;
}

int upload_start(struct upload *u, struct err *own)
{
	u->over = eventfd(0, EFD_CLOEXEC);
	if (u->over < 0)
		return fail_errno(own, "make an eventfd");
	errno = pthread_create(&u->thread, NULL, run, u);
	if (errno) {
		close(u->over);
		return fail_errno(own, "start a thread");
	}
	u->running = true;
	return OK;
}

void upload_end(struct upload *u, struct err *own)
{
	if (!u->running)
		return;
	eventfd_write(u->over, 1);
	u->cancel(u->stream); /* a send may wait for a service that reads no more */
	pthread_join(u->thread, NULL);
	close(u->over);
	u->running = false;
	if (is_own_failure(&u->own))
		*own = u->own;
}
