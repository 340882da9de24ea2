#include "store/contexts/pack_writer.h"

/* Those that are written at once, not by way of the buffer. */
static const size_t large_piece = 128 * 1024;

void pack_writer_free(struct pack_writer *w)
{
	buf_free(&w->buffer);
}

int pack_writer_flush(struct pack_writer *w, struct err *err)
{
	uint64_t at = w->begin + w->got - w->buffer.len;
	int r = w->buffer.len ? context_file_write(&w->pack->file, w->buffer.data, w->buffer.len, at, err) : OK;

	buf_reset(&w->buffer);
	return r;
}

int pack_writer_begin(struct pack_writer *w, uint64_t offset, struct err *err)
{
	int r = OK;

	if (offset != w->begin + w->got) /* what is in the buffer ends before the gap */
		r = pack_writer_flush(w, err);
	w->begin = offset;
	w->got = 0;
	hasher_init(&w->hasher, DIGEST_SHA256);
	return r;
}

int pack_writer_add(struct pack_writer *w, struct bytes data, struct err *err)
{
	int r = OK;

	hasher_update(&w->hasher, data.data, data.len);
	if (data.len >= large_piece || w->buffer.len + data.len > PACK_WRITER_BYTES)
		r = pack_writer_flush(w, err);
	if (r == OK && data.len >= large_piece)
		r = context_file_write(&w->pack->file, data.data, data.len, w->begin + w->got, err);
	else if (r == OK && !buf_append(&w->buffer, data.data, data.len))
		r = fail_nomem(err);
	w->got += data.len;
	return r;
}

struct digest pack_writer_end(struct pack_writer *w)
{
	w->begin += w->got;
	w->got = 0;
	return hasher_final(&w->hasher);
}
