#include "service/image/save_inflate.h"

enum { PIECE_BYTES = 256 * 1024 };

struct stream {
	struct inflate_filter *filter;
	struct cancel *cancel;
	int fd;
	uint8_t *piece;	    /* PIECE_BYTES of the blob, */
	struct bytes ahead; /* and what of them the filter has not taken */
	bool ended;
};

static void close_stream(void *stream)
{
	struct stream *s = stream;

	inflate_filter_free(s->filter);
	closep(&s->fd);
	free(s->piece);
	free(s);
}

static int open_stream(void *workers, int fd, void **ret_stream, struct err *err)
{
	const struct save_workers *w = workers;
	struct layer_policy policy = layer_policy_default();
	struct stream *s = calloc(1, sizeof *s);

	if (!s) {
		close(fd);
		return fail_nomem(err);
	}
	s->fd = fd;
	s->cancel = w->cancel;
	s->piece = malloc(PIECE_BYTES);
	if (!s->piece || inflate_filter_new(w->program, &policy, &s->filter, err) < 0) {
		int r = s->piece ? err->code : fail_nomem(err);

		close_stream(s);
		return r;
	}
	*ret_stream = s;
	return OK;
}

static int read_on(struct stream *s, struct err *err)
{
	ssize_t n;

	do
		n = read(s->fd, s->piece, PIECE_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_errno(err, "read a layer");
	s->ahead = (struct bytes){ s->piece, (size_t)n };
	if (!n)
		inflate_filter_end(s->filter);
	s->ended = !n;
	return OK;
}

/* Moves the filter on by one step: something into it, or a wait. */
static int feed(struct stream *s, struct err *err)
{
	size_t taken = 0;
	int r = s->ahead.len || s->ended ? OK : read_on(s, err);

	if (r == OK && s->ahead.len)
		r = inflate_filter_write(s->filter, s->ahead.data, s->ahead.len, &taken, err);
	if (r != OK)
		return r;
	s->ahead = (struct bytes){ s->ahead.data + taken, s->ahead.len - taken };
	return taken ? OK : inflate_filter_wait(s->filter, s->cancel, err);
}

static int read_stream(void *stream, uint8_t *data, size_t size, size_t *ret_len, struct err *err)
{
	struct stream *s = stream;
	int r;

	while ((r = inflate_filter_read(s->filter, data, size, ret_len, err)) == E_BUSY) {
		r = feed(s, err);
		if (r != OK)
			return r;
	}
	return r;
}

struct save_inflater save_inflater_of(struct save_workers *workers)
{
	return (struct save_inflater){ open_stream, read_stream, close_stream, workers };
}
