#include "service/image/archive_source.h"

#include <assert.h>

#include "service/layer/magic.h"

static struct bytes take_bytes(struct bytes *from, size_t len)
{
	struct bytes taken = { from->data, len };

	if (len)
		*from = (struct bytes){ from->data + len, from->len - len };
	return taken;
}

static int fail_unasked(struct err *err)
{
	return fail(err, E_INVALID, "more data came than was asked for");
}

/* ---- as it comes ----------------------------------------------------------- */

/* More of the archive into `raw`, which is empty at its end. */
static int receive(struct archive_source *s, struct err *err)
{
	if (!s->raw.len)
		s->raw = TAKE(s->behind_first);
	while (!s->raw.len && !s->raw_ended) {
		int r = s->peer.receive(s->peer.arg, &s->raw, err);

		if (r < 0)
			return r;
		s->asked -= (int64_t)s->raw.len;
		if (s->peer.want && s->asked < 0)
			return fail_unasked(err);
		/* On demand an empty piece is the end of an archive that became shorter. */
		s->raw_ended = !r || (s->peer.want && (!s->asked || !s->raw.len));
	}
	return OK;
}

/* Moves the filter on by one step: something into it, or a wait. */
static int feed(struct archive_source *s, struct err *err)
{
	size_t taken = 0;
	int r = receive(s, err);

	if (r != OK)
		return r;
	if (s->raw.len) {
		r = inflate_filter_write(s->filter, s->raw.data, s->raw.len, &taken, err);
		if (r != OK)
			return r;
		take_bytes(&s->raw, taken);
	} else if (!s->filter_ended) {
		inflate_filter_end(s->filter);
		s->filter_ended = true;
	}
	return taken ? OK : inflate_filter_wait(s->filter, s->cancel, err);
}

static int inflate(struct archive_source *s, struct err *err)
{
	size_t len = 0;
	int r;

	while ((r = inflate_filter_read(s->filter, s->inflated, ARCHIVE_PIECE_BYTES, &len, err)) == E_BUSY) {
		r = feed(s, err);
		if (r != OK)
			return r;
	}
	s->piece = (struct bytes){ s->inflated, len };
	return r;
}

/* The next plain bytes into `piece`; none at the end. */
static int next_piece(struct archive_source *s, struct err *err)
{
	int r;

	if (s->filter)
		return inflate(s, err);
	r = receive(s, err);
	if (r == OK)
		s->piece = take_bytes(&s->raw, s->raw.len);
	return r;
}

/* Up to `size` bytes in order; none at the end. */
static int read_on(struct archive_source *s, size_t size, struct bytes *ret_data, struct err *err)
{
	int r = s->piece.len ? OK : next_piece(s, err);

	if (r != OK)
		return r;
	*ret_data = take_bytes(&s->piece, s->piece.len < size ? s->piece.len : size);
	s->position += (int64_t)ret_data->len;
	return OK;
}

static int skip_to(struct archive_source *s, int64_t offset, struct err *err)
{
	struct bytes data = { .len = 1 };
	int r = OK;

	assert(offset >= s->position);
	while (r == OK && data.len && s->position < offset)
		r = read_on(s, min_size((uint64_t)(offset - s->position), SIZE_MAX / 2), &data, err);
	return r;
}

/* ---- on demand ------------------------------------------------------------- */

static int ask(struct archive_source *s, int64_t offset, int64_t length, struct err *err)
{
	return s->peer.want(s->peer.arg, offset, length, err);
}

/* Of what was asked for: up to `left` bytes. A client that sends more than that is as
 * wrong as one that ends early. */
static int take_asked(struct archive_source *s, int64_t left, struct bytes *ret_data, struct err *err)
{
	int r = s->peer.receive(s->peer.arg, ret_data, err);

	if (r < 0)
		return r;
	if (!r || !ret_data->len)
		return fail(err, E_BAD_CONTENT, "unexpected EOF");
	return (int64_t)ret_data->len > left ? fail_unasked(err) : OK;
}

/* Reads ahead, since what follows a header is often small. */
static int fill_window(struct archive_source *s, int64_t offset, struct err *err)
{
	int64_t left = s->peer.size - offset;
	int r;

	buf_reset(&s->window);
	s->window_at = offset;
	if (left <= 0)
		return OK;
	left = (int64_t)min_size((uint64_t)left, ARCHIVE_WINDOW_BYTES);
	r = ask(s, offset, left, err);
	while (r == OK && left) {
		struct bytes data;

		r = take_asked(s, left, &data, err);
		if (r != OK)
			break;
		left -= (int64_t)data.len;
		if (!buf_append(&s->window, data.data, data.len))
			r = fail_nomem(err);
	}
	return r;
}

/* What of [offset, offset + size) was read ahead, from its beginning. */
static struct bytes in_window(const struct archive_source *s, int64_t offset, int64_t size)
{
	int64_t end = s->window_at + (int64_t)s->window.len;

	if (offset < s->window_at || offset >= end)
		return (struct bytes){ 0 };
	return (struct bytes){ s->window.data + (offset - s->window_at),
			       (size_t)(size < end - offset ? size : end - offset) };
}

static int copy_asked(struct archive_source *s, int64_t offset, int64_t length, archive_sink *sink, void *arg,
		      struct err *err)
{
	struct bytes here = in_window(s, offset, length);
	int r = OK;

	if (here.len)
		r = sink(arg, here, err);
	offset += (int64_t)here.len;
	length -= (int64_t)here.len;
	if (r != OK || !length)
		return r;
	if (length > s->peer.size - offset)
		return fail(err, E_BAD_CONTENT, "unexpected EOF");
	r = ask(s, offset, length, err);
	while (r == OK && length) {
		struct bytes data;

		r = take_asked(s, length, &data, err);
		if (r != OK)
			break;
		length -= (int64_t)data.len;
		r = sink(arg, data, err);
	}
	return r;
}

/* ---- both ------------------------------------------------------------------ */

bool archive_source_seeks(const struct archive_source *s)
{
	return s->peer.want && !s->filter;
}

static int block_in_order(struct archive_source *s, uint8_t *block, size_t *ret_len, struct err *err)
{
	size_t len = 0;

	while (len < ARCHIVE_BLOCK_BYTES) {
		struct bytes data;
		int r = read_on(s, ARCHIVE_BLOCK_BYTES - len, &data, err);

		if (r != OK)
			return r;
		if (!data.len)
			break;
		memcpy(block + len, data.data, data.len);
		len += data.len;
	}
	*ret_len = len;
	return OK;
}

int archive_source_block(struct archive_source *s, int64_t offset, uint8_t block[ARCHIVE_BLOCK_BYTES], size_t *ret_len,
			 struct err *err)
{
	struct bytes here;
	int r;

	if (!archive_source_seeks(s)) {
		r = skip_to(s, offset, err);
		return r == OK ? block_in_order(s, block, ret_len, err) : r;
	}
	here = in_window(s, offset, ARCHIVE_BLOCK_BYTES);
	if (here.len < ARCHIVE_BLOCK_BYTES) {
		r = fill_window(s, offset, err);
		if (r != OK)
			return r;
		here = in_window(s, offset, ARCHIVE_BLOCK_BYTES);
	}
	if (here.len)
		memcpy(block, here.data, here.len);
	*ret_len = here.len;
	return OK;
}

int64_t archive_source_end(const struct archive_source *s)
{
	return archive_source_seeks(s) ? s->peer.size : s->position;
}

int archive_source_copy(struct archive_source *s, int64_t offset, int64_t length, archive_sink *sink, void *arg,
			struct err *err)
{
	int r;

	if (archive_source_seeks(s))
		return copy_asked(s, offset, length, sink, arg, err);
	r = skip_to(s, offset, err);
	while (r == OK && length) {
		struct bytes data = { 0 };

		r = read_on(s, min_size((uint64_t)length, ARCHIVE_PIECE_BYTES), &data, err);
		if (r == OK && !data.len)
			r = fail(err, E_BAD_CONTENT, "unexpected EOF");
		if (r == OK)
			r = sink(arg, data, err);
		length -= (int64_t)data.len;
	}
	return r;
}

int archive_source_drain(struct archive_source *s, archive_sink *sink, void *arg, struct err *err)
{
	struct bytes data = { .len = 1 };
	int r = OK;

	assert(!archive_source_seeks(s));
	while (r == OK && data.len) {
		r = read_on(s, ARCHIVE_PIECE_BYTES, &data, err);
		if (r == OK && data.len)
			r = sink(arg, data, err);
	}
	return r;
}

/* ---- open ------------------------------------------------------------------ */

/* The first bytes, which may come one by one; they are then what is received first. */
static int look_in_order(struct archive_source *s, struct err *err)
{
	size_t len = 0;

	while (len < sizeof s->first && !s->raw_ended) {
		struct bytes part;
		int r = receive(s, err);

		if (r != OK)
			return r;
		part = take_bytes(&s->raw, s->raw.len < sizeof s->first - len ? s->raw.len : sizeof s->first - len);
		if (part.len)
			memcpy(s->first + len, part.data, part.len);
		len += part.len;
	}
	s->behind_first = s->raw;
	s->raw = (struct bytes){ s->first, len };
	return OK;
}

static bool is_to_be_inflated(const struct archive_source *s, struct bytes first)
{
	enum inflate_format format = magic_format(first);

	if (s->peer.keeps_layers && (format == INFLATE_GZIP || format == INFLATE_ZSTD))
		return false;
	return format != INFLATE_PLAIN;
}

static int look(struct archive_source *s, bool *ret_compressed, struct err *err)
{
	struct bytes first;
	int r = s->peer.want ? fill_window(s, 0, err) : look_in_order(s, err);

	if (r != OK)
		return r;
	first = s->peer.want ? in_window(s, 0, sizeof s->first) : s->raw;
	*ret_compressed = is_to_be_inflated(s, first);
	return OK;
}

static int open_filter(struct archive_source *s, const char *program, struct err *err)
{
	struct layer_policy policy = layer_policy_default();

	s->inflated = malloc(ARCHIVE_PIECE_BYTES);
	if (!s->inflated)
		return fail_nomem(err);
	return inflate_filter_new(program, &policy, &s->filter, err);
}

/* Asks for all of it, since parts of a compressed archive mean nothing. */
static int ask_for_all(struct archive_source *s, struct err *err)
{
	s->asked = s->peer.size;
	return s->peer.want ? ask(s, 0, s->peer.size, err) : OK;
}

int archive_source_open(struct archive_source *s, const struct archive_peer *peer, const char *program,
			struct cancel *cancel, struct err *err)
{
	bool compressed = false;
	int r;

	*s = (struct archive_source){ .peer = *peer, .cancel = cancel, .window = BUF_INIT(ARCHIVE_WINDOW_BYTES) };
	r = look(s, &compressed, err);
	if (r == OK && compressed)
		r = open_filter(s, program, err);
	if (r == OK && compressed)
		r = ask_for_all(s, err);
	if (r != OK)
		archive_source_close(s);
	return r;
}

void archive_source_close(struct archive_source *s)
{
	inflate_filter_free(s->filter);
	free(s->inflated);
	buf_free(&s->window);
	*s = (struct archive_source){ .raw_ended = true };
}
