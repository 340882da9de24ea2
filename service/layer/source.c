#include "service/layer/source.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/runtime/mem.h"

static int answer_cancel(struct source *s, uint32_t layer, struct err *err)
{
	struct layer_message m = layer_message_of(LAYER_CANCELLED, layer);

	return layer_message_send(s->socket, &m, -1, 0, err);
}

static void close_stream(struct source *s)
{
	if (s->stream >= 0)
		close(take_fd(&s->stream));
}

static void take_begin(struct source *s, const struct layer_message *m, int fd)
{
	s->fd = fd;
	s->layer = m->layer;
	s->hint = m->u.begin.compression;
	s->counts_only = m->u.begin.counts_only;
	s->limits = m->u.begin.limits;
	s->offset = s->available = 0;
	s->ended = false;
}

int source_begin(struct source *s, struct err *err)
{
	for (;;) {
		struct layer_message m;
		CLEANUP(closep) int fd = -1;
		int rc = layer_message_receive(s->socket, 0, LAYER_FROM_DAEMON, &m, &fd, err);

		if (rc != OK)
			return rc;
		switch (m.type) {
		case LAYER_STREAM:
			close_stream(s);
			s->stream = take_fd(&fd);
			break;
		case LAYER_BEGIN:
			if (m.layer <= s->layer)
				return fail(err, E_WORKER, "layer %u after layer %u", m.layer, s->layer);
			take_begin(s, &m, take_fd(&fd));
			return OK;
		case LAYER_CANCEL:
			rc = answer_cancel(s, m.layer, err);
			if (rc != OK)
				return rc;
			break;
		default: /* AVAILABLE and END that crossed with a FAILED */
			break;
		}
	}
}

void source_end(struct source *s)
{
	if (s->fd >= 0)
		close(take_fd(&s->fd));
	close_stream(s);
}

bool source_ready(const struct source *s)
{
	return s->ended || s->offset < s->available;
}

static int take_available(struct source *s, const struct layer_message *m, struct err *err)
{
	if (s->ended || m->u.available.bytes < s->available)
		return fail(err, E_WORKER, "the layer's file became shorter");
	s->available = m->u.available.bytes;
	s->ended = m->type == LAYER_END;
	return OK;
}

static int take_message(struct source *s, int flags, struct err *err)
{
	struct layer_message m;
	CLEANUP(closep) int fd = -1;
	int rc = layer_message_receive(s->socket, flags, LAYER_FROM_DAEMON, &m, &fd, err);

	if (rc != OK)
		return rc;
	if (m.type == LAYER_BEGIN || m.layer != s->layer)
		return fail(err, E_WORKER, "message for layer %u within layer %u", m.layer, s->layer);
	if (m.type == LAYER_CANCEL)
		return fail(err, E_CANCELLED, "the layer was cancelled");
	return take_available(s, &m, err);
}

/* Takes what messages there are; waits for one when nothing can be read before. */
static int take_messages(struct source *s, struct err *err)
{
	int rc;

	do
		rc = take_message(s, source_ready(s) ? MSG_DONTWAIT : 0, err);
	while (rc == OK);
	return rc == E_BUSY ? OK : rc;
}

int source_read(struct source *s, uint8_t *data, size_t size, size_t *ret_len, struct err *err)
{
	ssize_t n;
	int rc = take_messages(s, err);

	if (rc != OK)
		return rc;
	if (size > s->available - s->offset)
		size = (size_t)(s->available - s->offset);
	if (!size) {
		*ret_len = 0;
		return OK;
	}
	do
		n = pread(s->fd, data, size, (off_t)s->offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_errno(err, "read the layer's file");
	if (n == 0)
		return fail(err, E_IO, "the layer's file is shorter than was announced");
	s->offset += (uint64_t)n;
	*ret_len = (size_t)n;
	return OK;
}
