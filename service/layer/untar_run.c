#include "service/layer/untar_run.h"

#include "service/layer/filter_run.h"
#include "service/layer/tar_stream.h"
#include "service/layer/untar_format.h"

enum { OUT_BYTES = 256 * 1024 };

static const char xattr_key[] = "SCHILY.xattr.";

struct untar {
	struct tar_stream *stream;
	struct buf xattrs;
	uint64_t written;
	size_t len; /* of out */
	/* The file whose data go by. */
	uint64_t at, size;
	bool is_sparse;
	const struct tar_piece *pieces;
	size_t n_pieces, piece;
	uint64_t in_piece;
	uint8_t out[OUT_BYTES];
};

/* ---- output ------------------------------------------------------------------------ */

static int flush(struct untar *u, struct err *err)
{
	int rc = filter_write(u->out, u->len, err);

	u->written += u->len;
	u->len = 0;
	return rc;
}

static int put(struct untar *u, const void *data, size_t len, struct err *err)
{
	const uint8_t *from = data;
	int rc = OK;

	while (rc == OK && len) {
		size_t n = min_size(len, OUT_BYTES - u->len);

		memcpy(u->out + u->len, from, n);
		u->len += n;
		from += n;
		len -= n;
		if (u->len == OUT_BYTES)
			rc = flush(u, err);
	}
	return rc;
}

static int put_zeros(struct untar *u, uint64_t len, struct err *err)
{
	static const uint8_t zeros[4096];
	int rc = OK;

	for (; rc == OK && len; len -= min_size(len, sizeof zeros))
		rc = put(u, zeros, min_size(len, sizeof zeros), err);
	return rc;
}

/* ---- extended attributes ------------------------------------------------------------- */

static bool is_taken(struct bytes name)
{
	return tar_text_is(name, "security.capability") || (name.len > 5 && !memcmp(name.data, "user.", 5));
}

static int add_xattr(struct untar *u, struct bytes name, struct bytes value, struct err *err)
{
	uint16_t name_len = (uint16_t)name.len;
	uint32_t value_len = (uint32_t)value.len;

	if (name.len > UINT8_MAX || value.len > UNTAR_XATTRS_MAX)
		return fail(err, E_LIMIT, "archive: an extended attribute is too long");
	buf_append(&u->xattrs, &name_len, sizeof name_len);
	buf_append(&u->xattrs, &value_len, sizeof value_len);
	buf_append(&u->xattrs, name.data, name.len);
	buf_append(&u->xattrs, value.data, value.len);
	return buf_ok(&u->xattrs) ? OK : fail(err, E_LIMIT, "archive: an entry has too many extended attributes");
}

static int take_xattrs(struct untar *u, struct bytes records, struct err *err)
{
	struct tar_pax_record r;
	int rc = OK;

	buf_reset(&u->xattrs);
	while (rc == OK && records.len && tar_pax_next(&records, &r)) {
		const size_t skip = sizeof xattr_key - 1;
		struct bytes name;

		if (r.key.len <= skip || memcmp(r.key.data, xattr_key, skip) != 0)
			continue;
		name = (struct bytes){ r.key.data + skip, r.key.len - skip };
		if (is_taken(name))
			rc = add_xattr(u, name, r.value, err);
	}
	return rc;
}

/* ---- entries --------------------------------------------------------------------------- */

static int put_head(struct untar *u, const struct tar_item *item, struct err *err)
{
	const struct tar_attributes *a = &item->attributes;
	struct untar_head head = {
		.magic = UNTAR_MAGIC,
		.mode = a->mode,
		.kind = (uint16_t)item->kind,
		.size = item->size,
		.mtime = a->mtime,
		.mtime_ns = a->mtime_ns,
		.uid = a->uid,
		.gid = a->gid,
		.major = a->major,
		.minor = a->minor,
		.name_len = (uint32_t)item->name.len,
		.link_len = (uint32_t)item->link.len,
		.xattrs_len = (uint32_t)u->xattrs.len,
	};
	int rc = put(u, &head, sizeof head, err);

	if (rc == OK)
		rc = put(u, item->name.data, item->name.len, err);
	if (rc == OK)
		rc = put(u, item->link.data, item->link.len, err);
	return rc == OK ? put(u, u->xattrs.data, u->xattrs.len, err) : rc;
}

static int begin_entry(void *untar, const struct tar_item *item, struct err *err)
{
	struct untar *u = untar;
	int rc = take_xattrs(u, item->pax, err);

	u->at = 0;
	u->size = item->size;
	u->is_sparse = item->is_sparse;
	u->pieces = item->pieces;
	u->n_pieces = item->n_pieces;
	u->piece = 0;
	u->in_piece = 0;
	return rc == OK ? put_head(u, item, err) : rc;
}

/* Of a sparse file: the data are those of the pieces, in order. */
static int put_sparse(struct untar *u, const uint8_t *data, size_t len, struct err *err)
{
	int rc = OK;

	while (rc == OK && len) {
		const struct tar_piece *p = &u->pieces[u->piece];
		size_t n;

		if (u->piece == u->n_pieces)
			return fail(err, E_BAD_CONTENT, "archive: a sparse file has more data than its map says");
		n = min_size(p->len - u->in_piece, len);
		if (u->at < p->offset) {
			rc = put_zeros(u, p->offset - u->at, err);
			u->at = p->offset;
		}
		if (rc == OK)
			rc = put(u, data, n, err);
		u->at += n;
		u->in_piece += n;
		data += n;
		len -= n;
		if (u->in_piece == p->len) {
			u->piece++;
			u->in_piece = 0;
		}
	}
	return rc;
}

static int take_data(void *untar, const uint8_t *data, size_t len, struct err *err)
{
	struct untar *u = untar;

	if (u->is_sparse)
		return put_sparse(u, data, len, err);
	u->at += len;
	return put(u, data, len, err);
}

static int end_entry(void *untar, struct err *err)
{
	struct untar *u = untar;

	return put_zeros(u, u->size - u->at, err);
}

/* ---- the stream -------------------------------------------------------------------------- */

static int begin(void *untar, const struct layer_limits *limits, struct err *err)
{
	const struct tar_sink sink = { untar, begin_entry, take_data, end_entry };

	return tar_stream_new(&sink, limits->entries, limits->tar_bytes, &((struct untar *)untar)->stream, err);
}

static int take(void *untar, const uint8_t *data, size_t len, struct err *err)
{
	return tar_stream_feed(((struct untar *)untar)->stream, data, len, err);
}

static int finish(void *untar, uint64_t *ret_written, struct err *err)
{
	struct untar *u = untar;
	int rc = tar_stream_finish(u->stream, err);

	if (rc == OK)
		rc = flush(u, err);
	*ret_written = u->written;
	return rc;
}

int untar_run(int socket, struct err *err)
{
	CLEANUP(freep) struct untar *u = calloc(1, sizeof *u);
	struct filter_output output = { .arg = u, .takes_plain = true, .begin = begin, .take = take, .finish = finish };
	int rc;

	if (!u)
		return fail_nomem(err);
	u->xattrs = (struct buf)BUF_INIT(UNTAR_XATTRS_MAX);
	rc = filter_run_into(socket, &output, err);
	tar_stream_free(u->stream);
	buf_free(&u->xattrs);
	return rc;
}
