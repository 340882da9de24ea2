#include "service/image/compress_layer.h"

#include <isa-l/igzip_lib.h>

enum { LEVEL = 2, LEVEL_BUFFER = ISAL_DEF_LVL2_DEFAULT, PIECE = 256 * 1024 };

struct compressor {
	struct isal_zstream stream;
	struct hasher hasher;
	struct ingest *out;
	struct cancel *cancel;
	uint8_t in_data[PIECE], out_data[PIECE], level[LEVEL_BUFFER];
};

/* A whole piece, or what is left. */
static int read_piece(int fd, uint8_t *data, size_t *ret_len, struct err *err)
{
	size_t len = 0;

	while (len < PIECE) {
		ssize_t n = read(fd, data + len, PIECE - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read a layer");
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return OK;
}

/* Until all input is taken; at the end until all is given out. */
static int deflate_piece(struct compressor *c, struct err *err)
{
	do {
		c->stream.next_out = c->out_data;
		c->stream.avail_out = PIECE;
		if (isal_deflate(&c->stream) != COMP_OK)
			return fail(err, E_INTERNAL, "a layer could not be compressed");
		if (ingest_write(c->out, c->out_data, PIECE - c->stream.avail_out, err) < 0)
			return err->code;
	} while (c->stream.avail_out == 0 || c->stream.avail_in > 0);
	return OK;
}

static int deflate_all(struct compressor *c, int fd, struct err *err)
{
	do {
		size_t len = 0;

		if (cancel_check(c->cancel, err) < 0 || read_piece(fd, c->in_data, &len, err) < 0)
			return err->code;
		hasher_update(&c->hasher, c->in_data, len);
		c->stream.next_in = c->in_data;
		c->stream.avail_in = (uint32_t)len;
		c->stream.end_of_stream = len < PIECE;
		if (deflate_piece(c, err) < 0)
			return err->code;
	} while (!c->stream.end_of_stream);
	return OK;
}

static struct compressor *compressor_new(const struct digest *tar, struct ingest *out, struct cancel *cancel)
{
	struct compressor *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->out = out;
	c->cancel = cancel;
	isal_deflate_init(&c->stream);
	c->stream.level = LEVEL;
	c->stream.level_buf = c->level;
	c->stream.level_buf_size = sizeof c->level;
	c->stream.gzip_flag = IGZIP_GZIP;
	hasher_init(&c->hasher, (enum digest_algorithm)tar->algorithm);
	return c;
}

int compress_layer(struct store *s, int fd, const struct digest *tar, struct cancel *cancel, struct ingest **ret_ingest,
		   struct digest *ret_digest, struct err *err)
{
	CLEANUP(ingest_unrefp) struct ingest *out = NULL;
	CLEANUP(freep) struct compressor *c = NULL;
	char text[DIGEST_TEXT_MAX];
	struct digest found;

	if (ingest_open_unnamed(s, DIGEST_SHA256, &out, err) < 0)
		return err->code;
	c = compressor_new(tar, out, cancel);
	if (!c)
		return fail_nomem(err);
	if (deflate_all(c, fd, err) < 0)
		return err->code;
	found = hasher_final(&c->hasher);
	if (!digest_eq(&found, tar))
		return fail(err, E_CORRUPT, "layer %s is damaged: its bytes are others", digest_text(tar, text));
	if (ingest_name(out, ret_digest, err) < 0)
		return err->code;
	*ret_ingest = TAKE(out);
	return OK;
}
