#include "service/build/context/context_archive.h"

#include <sys/stat.h>

#include "service/build/context/archive_kind.h"
#include "service/build/context/archive_spool.h"
#include "service/build/context/build_context_state.h"
#include "service/layer/archive.h"
#include "service/layer/magic.h"
#include "service/layer/tar_stream.h"
#include "service/layer/untar_format.h"
#include "store/contexts/context_xattrs.h"
#include "store/contexts/pack_writer.h"
#include "store/types/path.h"

enum { PIECE_BYTES = 256 * 1024, LOOK_BYTES = 16 * 1024 * 1024 };

struct archive_unpacking {
	const struct context_archive *a;
	const char *prefix;
	struct context_pack *pack;
	struct inflate_filter *filter;
	struct archive_spool spool;
	struct pack_writer writer;
	uint64_t end;	   /* of the pack */
	int64_t unchecked; /* bytes since the disk was last looked at */

	/* From the source. */
	const struct archive_reader *from;
	struct bytes raw;
	bool raw_ended, filter_ended;

	/* From the worker: `in` holds what was not used yet of what it wrote. */
	struct bytes in;
	uint8_t piece[PIECE_BYTES];
};

/* ---- what it is -------------------------------------------------------------------------- */

static bool is_zeros(const uint8_t block[TAR_BLOCK])
{
	return !block[0] && !memcmp(block, block + 1, TAR_BLOCK - 1);
}

static bool is_archive(const struct buf *first)
{
	if (magic_format(buf_bytes(first)) != INFLATE_PLAIN)
		return true;
	return first->len == TAR_BLOCK && (archive_is_tar_header(first->data) || is_zeros(first->data));
}

/* The first block into `first`; what came behind it stays in `raw`. */
static int read_first(struct archive_unpacking *u, struct buf *first, struct err *err)
{
	while (first->len < TAR_BLOCK && !u->raw_ended) {
		int r = u->from->receive(u->from->arg, &u->raw, err);
		size_t n;

		if (r < 0)
			return r;
		u->raw_ended = !r;
		n = r ? min_size(u->raw.len, TAR_BLOCK - first->len) : 0;
		if (n && !buf_append(first, u->raw.data, n))
			return fail_nomem(err);
		u->raw = r ? (struct bytes){ u->raw.data + n, u->raw.len - n } : (struct bytes){ 0 };
	}
	return OK;
}

static int read_dockerfile(struct archive_unpacking *u, const struct buf *first, struct buf *out, struct err *err)
{
	struct bytes data = buf_bytes(first);
	int r = 1;

	buf_reset(out);
	buf_append(out, data.data, data.len);
	buf_append(out, u->raw.data, u->raw.len);
	while (r > 0 && !u->raw_ended) {
		r = u->from->receive(u->from->arg, &data, err);
		if (r > 0)
			buf_append(out, data.data, data.len);
		if (out->len > DOCKERFILE_BYTES_MAX || !buf_ok(out))
			return fail(err, E_LIMIT, "the Dockerfile is larger than %d bytes, or it is no archive",
				    DOCKERFILE_BYTES_MAX);
	}
	return r < 0 ? r : OK;
}

/* ---- through the worker -------------------------------------------------------------------- */

static int feed(struct archive_unpacking *u, struct bytes *first, struct err *err)
{
	size_t taken = 0;
	int r = OK;

	if (!first->len && !u->raw.len && !u->raw_ended) {
		r = u->from->receive(u->from->arg, &u->raw, err);
		if (r < 0)
			return r;
		u->raw_ended = !r;
		if (!r)
			u->raw = (struct bytes){ 0 };
	}
	if (first->len || u->raw.len) {
		struct bytes *now = first->len ? first : &u->raw;

		r = inflate_filter_write(u->filter, now->data, now->len, &taken, err);
		*now = (struct bytes){ now->data + taken, now->len - taken };
	} else if (u->raw_ended && !u->filter_ended) {
		inflate_filter_end(u->filter);
		u->filter_ended = true;
		r = OK;
	}
	if (r < 0)
		return r;
	return taken ? OK : inflate_filter_wait(u->filter, u->a->cancel, err);
}

/* More of what the worker says into `in`; nothing at the end. */
static int next_piece(struct archive_unpacking *u, struct bytes *first, struct err *err)
{
	size_t len = 0;
	int r;

	while ((r = inflate_filter_read(u->filter, u->piece, sizeof u->piece, &len, err)) == E_BUSY) {
		r = feed(u, first, err);
		if (r < 0)
			return r;
	}
	u->in = (struct bytes){ u->piece, len };
	return r;
}

/* Exactly `len` bytes. *ret_end, which may be NULL: there is nothing more at all. */
static int read_exactly(struct archive_unpacking *u, struct bytes *first, void *data, size_t len, bool *ret_end,
			struct err *err)
{
	uint8_t *out = data;
	size_t got = 0;

	while (got < len) {
		size_t n;

		if (!u->in.len && next_piece(u, first, err) < 0)
			return err->code;
		if (!u->in.len && !got && ret_end) {
			*ret_end = true;
			return OK;
		}
		if (!u->in.len)
			return fail(err, E_WORKER, "imaged-layer said nonsense: half a record");
		n = min_size(len - got, u->in.len);
		memcpy(out + got, u->in.data, n);
		u->in = (struct bytes){ u->in.data + n, u->in.len - n };
		got += n;
	}
	return OK;
}

/* ---- entries ---------------------------------------------------------------------------------- */

struct record {
	struct untar_head head;
	uint8_t name[UNTAR_TEXT_MAX], link[UNTAR_TEXT_MAX];
	uint8_t xattrs[UNTAR_XATTRS_MAX];
	struct context_xattr list[UNTAR_XATTRS_MAX / 8];
};

static const uint32_t types[] = {
	[TAR_KIND_REGULAR] = S_IFREG,	  [TAR_KIND_DIRECTORY] = S_IFDIR,    [TAR_KIND_SYMLINK] = S_IFLNK,
	[TAR_KIND_CHAR_DEVICE] = S_IFCHR, [TAR_KIND_BLOCK_DEVICE] = S_IFBLK, [TAR_KIND_FIFO] = S_IFIFO,
};

static bool is_sound(const struct untar_head *h)
{
	return h->magic == UNTAR_MAGIC && h->kind < ARRAY_LEN(types) && !(h->mode & ~07777) &&
	       h->name_len <= UNTAR_TEXT_MAX && h->link_len <= UNTAR_TEXT_MAX && h->xattrs_len <= UNTAR_XATTRS_MAX &&
	       h->size <= INT64_MAX / 2 && h->mtime_ns < 1000000000 && (!h->size || h->kind == TAR_KIND_REGULAR);
}

static int read_record(struct archive_unpacking *u, struct bytes *first, struct record *rec, bool *ret_end,
		       struct err *err)
{
	int r = read_exactly(u, first, &rec->head, sizeof rec->head, ret_end, err);

	if (r != OK || *ret_end)
		return r;
	if (!is_sound(&rec->head))
		return fail(err, E_WORKER, "imaged-layer said nonsense: a record that cannot be");
	r = read_exactly(u, first, rec->name, rec->head.name_len, NULL, err);
	if (r == OK)
		r = read_exactly(u, first, rec->link, rec->head.link_len, NULL, err);
	return r == OK ? read_exactly(u, first, rec->xattrs, rec->head.xattrs_len, NULL, err) : r;
}

/* The name below the prefix; one that leads out of that is none. */
static bool clean_below(const char *prefix, struct bytes name, struct buf *out)
{
	CLEANUP(buf_free) struct buf whole = BUF_INIT(2 * UNTAR_TEXT_MAX);
	struct bytes below = bytes_of(prefix), path;

	if (!below.len)
		return path_clean(name, out);
	buf_append(&whole, below.data, below.len);
	buf_putc(&whole, '/');
	buf_append(&whole, name.data, name.len);
	if (!buf_ok(&whole) || !path_clean(buf_bytes(&whole), out))
		return false;
	path = buf_bytes(out);
	return bytes_eq(path, below) || context_path_is_below(below, path);
}

/* Empty: it is the root. Into `out`, which holds it. */
static int clean_name(const char *prefix, struct bytes name, struct buf *out, struct bytes *ret_path, struct err *err)
{
	char shown[CONTEXT_SHOWN_MAX];
	struct bytes path;

	buf_reset(out);
	if (memchr(name.data, 0, name.len) || !clean_below(prefix, name, out))
		return fail(err, E_BAD_CONTENT, "archive entry \"%s\": its name cannot be",
			    context_path_show(name, shown));
	path = buf_bytes(out);
	if (path.len && path.data[0] == '/')
		path = (struct bytes){ path.data + 1, path.len - 1 };
	if (path.len == 1 && path.data[0] == '.')
		path.len = 0;
	*ret_path = path;
	if (!path.len || context_path_check(path, err) == OK)
		return OK;
	err->code = E_BAD_CONTENT;
	return err_wrap(err, "archive");
}

static int by_name(const void *a, const void *b)
{
	const struct context_xattr *x = a, *y = b;
	size_t len = x->name.len < y->name.len ? x->name.len : y->name.len;
	int order = memcmp(x->name.data, y->name.data, len);

	if (!order)
		order = (x->name.len > y->name.len) - (x->name.len < y->name.len);
	return order ? order : (x->name.data < y->name.data) - (x->name.data > y->name.data);
}

/* In order, and of each name the last one, into `out`. */
static int pack_xattrs(struct record *rec, struct bytes path, struct buf *out, struct err *err)
{
	struct bytes rest = { rec->xattrs, rec->head.xattrs_len };
	size_t n = 0, kept = 0;
	int r;

	buf_reset(out);
	while (n < ARRAY_LEN(rec->list) && context_xattrs_next(&rest, &rec->list[n]))
		n++;
	qsort(rec->list, n, sizeof *rec->list, by_name);
	for (size_t i = 0; i < n; i++)
		if (!kept || !bytes_eq(rec->list[i].name, rec->list[kept - 1].name))
			rec->list[kept++] = rec->list[i];
	r = context_xattrs_check(rec->list, kept, path, err);
	if (r == E_INVALID && err)
		r = err->code = E_BAD_CONTENT;
	context_xattrs_pack(rec->list, kept, out);
	return r != OK || buf_ok(out) ? r : fail_nomem(err);
}

/* ---- files -------------------------------------------------------------------------------------- */

static int look_at_disk(struct archive_unpacking *u, size_t bytes, struct err *err)
{
	u->unchecked += (int64_t)bytes;
	if (u->unchecked < LOOK_BYTES)
		return OK;
	u->unchecked = 0;
	return store_reserve(u->a->store, LOOK_BYTES, err);
}

static int take_file(struct archive_unpacking *u, struct bytes *first, uint64_t size, struct context_place *place,
		     struct err *err)
{
	uint64_t left = size, begin = context_pack_align(u->end, size);
	struct digest sha256;
	int r = pack_writer_begin(&u->writer, begin, err);

	if (r == OK && size >= LOOK_BYTES)
		r = store_reserve(u->a->store, (int64_t)size, err);
	while (r == OK && left) {
		size_t n;

		if (!u->in.len)
			r = next_piece(u, first, err);
		if (r == OK && !u->in.len)
			r = fail(err, E_WORKER, "imaged-layer said nonsense: half a file");
		if (r != OK)
			break;
		n = min_size(left, u->in.len);
		r = pack_writer_add(&u->writer, (struct bytes){ u->in.data, n }, err);
		u->in = (struct bytes){ u->in.data + n, u->in.len - n };
		left -= n;
		if (r == OK)
			r = look_at_disk(u, n, err);
	}
	sha256 = pack_writer_end(&u->writer);
	u->end = begin + size;
	place->offset = begin;
	place->flags = CONTEXT_KNOWN;
	memcpy(place->sha256, sha256.bytes, sizeof place->sha256);
	return r;
}

/* Behind the file's bytes. */
static int keep_xattrs(struct archive_unpacking *u, struct bytes packed, struct context_place *place, struct err *err)
{
	int r;

	if (!packed.len)
		return OK;
	r = pack_writer_begin(&u->writer, u->end, err);
	if (r == OK)
		r = pack_writer_add(&u->writer, packed, err);
	pack_writer_end(&u->writer);
	place->xattrs_at = u->end;
	place->xattrs_len = (uint32_t)packed.len;
	u->end += packed.len;
	return r;
}

struct scratch {
	struct record record;
	struct buf path, link, xattrs;
};

static int set_link(const struct archive_unpacking *u, const struct record *rec, struct scratch *s,
		    struct spool_entry *e, struct err *err)
{
	struct bytes link = { rec->link, rec->head.link_len };
	char shown[CONTEXT_SHOWN_MAX];
	int r = OK;

	if (rec->head.kind == TAR_KIND_SYMLINK)
		e->link = link;
	else if (rec->head.kind == TAR_KIND_HARD_LINK)
		r = clean_name(u->prefix, link, &s->link, &e->link, err);
	if (r == OK && rec->head.kind == TAR_KIND_SYMLINK && !link.len)
		return fail(err, E_BAD_CONTENT, "archive entry \"%s\": a link without a target",
			    context_path_show(e->path, shown));
	return r;
}

static int take_entry(struct archive_unpacking *u, struct bytes *first, struct scratch *s, struct err *err)
{
	struct record *rec = &s->record;
	const struct untar_head *h = &rec->head;
	struct spool_entry e = { .head = { .size = (int64_t)h->size,
					   .mode = types[h->kind] ? types[h->kind] | h->mode : 0 } };
	int r = clean_name(u->prefix, (struct bytes){ rec->name, h->name_len }, &s->path, &e.path, err);

	if (r == OK)
		r = set_link(u, rec, s, &e, err);
	if (r == OK)
		r = pack_xattrs(rec, e.path, &s->xattrs, err);
	if (r == OK && h->kind == TAR_KIND_REGULAR)
		r = take_file(u, first, h->size, &e.head.place, err);
	if (r == OK && h->kind == TAR_KIND_REGULAR)
		r = keep_xattrs(u, buf_bytes(&s->xattrs), &e.head.place, err);
	else if (h->kind == TAR_KIND_DIRECTORY)
		e.xattrs = buf_bytes(&s->xattrs);
	if (h->mtime > -INT64_C(4000000000) && h->mtime < INT64_C(9000000000))
		e.head.mtime_ns = h->mtime * INT64_C(1000000000) + h->mtime_ns;
	if (h->kind == TAR_KIND_CHAR_DEVICE || h->kind == TAR_KIND_BLOCK_DEVICE)
		e.head.device = (uint64_t)h->major << 32 | h->minor;
	e.head.owner = (struct context_owner){ h->uid, h->gid, false };
	e.head.path_len = (uint32_t)e.path.len;
	e.head.link_len = (uint32_t)e.link.len;
	e.head.xattrs_len = (uint32_t)e.xattrs.len;
	return r == OK && e.path.len ? spool_add(&u->spool, &e, err) : r;
}

static int take_entries(struct archive_unpacking *u, struct bytes first, struct err *err)
{
	CLEANUP(freep) struct scratch *s = calloc(1, sizeof *s);
	bool end = false;
	int r = OK;

	if (!s)
		return fail_nomem(err);
	s->path = s->link = (struct buf)BUF_INIT(UNTAR_TEXT_MAX + 16);
	s->xattrs = (struct buf)BUF_INIT(CONTEXT_XATTRS_PACKED_MAX);
	while (r == OK && !end) {
		r = read_record(u, &first, &s->record, &end, err);
		if (r == OK && !end)
			r = take_entry(u, &first, s, err);
	}
	buf_free(&s->path);
	buf_free(&s->link);
	buf_free(&s->xattrs);
	return r;
}

/* ---- all of it ------------------------------------------------------------------------------------ */

void context_unpack_free(struct archive_unpacking *u)
{
	if (!u)
		return;
	inflate_filter_free(u->filter);
	context_pack_unref(u->pack);
	pack_writer_free(&u->writer);
	spool_free(&u->spool);
	free(u);
}

void context_unpack_freep(struct archive_unpacking **u)
{
	context_unpack_free(*u);
}

int context_unpack_begin(const struct context_archive *a, struct archive_unpacking **ret_unpacking, struct err *err)
{
	CLEANUP(context_unpack_freep) struct archive_unpacking *u = calloc(1, sizeof *u);
	int r;

	if (!u)
		return fail_nomem(err);
	u->a = a;
	u->writer = (struct pack_writer)PACK_WRITER_INIT;
	r = spool_begin(&u->spool, a->store, err);
	if (r == OK)
		r = context_pack_create(a->store, NULL, &u->pack, err);
	u->writer.pack = u->pack;
	if (r == OK)
		*ret_unpacking = TAKE(u);
	return r;
}

/* `first`: what was read of it before. */
static int add(struct archive_unpacking *u, struct bytes first, struct err *err)
{
	struct layer_policy policy = layer_policy_default();
	int r = untar_filter_new(u->a->worker_program, &policy, &u->filter, err);

	if (r == OK)
		r = take_entries(u, first, err);
	inflate_filter_free(TAKE(u->filter));
	return r;
}

static void begin_source(struct archive_unpacking *u, const char *prefix, const struct archive_reader *from)
{
	u->prefix = prefix;
	u->from = from;
	u->raw = u->in = (struct bytes){ 0 };
	u->raw_ended = u->filter_ended = false;
}

int context_unpack_add(struct archive_unpacking *u, const char *prefix, const struct archive_reader *from,
		       struct err *err)
{
	struct err local = ERR_INIT;

	begin_source(u, prefix, from);
	return add(u, (struct bytes){ 0 }, err ? err : &local);
}

int context_unpack_end(struct archive_unpacking *u, struct build_context **ret_context, struct err *err)
{
	CLEANUP(buf_free) struct buf cleaned = BUF_INIT(UNTAR_TEXT_MAX + 16);
	CLEANUP(freep) struct context_owner *owners = NULL;
	struct context_files *files = NULL;
	struct bytes subdir = { 0 };
	int r = pack_writer_flush(&u->writer, err);

	if (r == OK && u->a->subdir && *u->a->subdir)
		r = clean_name("", bytes_of(u->a->subdir), &cleaned, &subdir, err);
	if (r == OK)
		r = spool_end(&u->spool, err);
	if (r == OK)
		r = spool_to_files(&u->spool, subdir, context_pack_ref(u->pack), &files,
				   u->a->with_owners ? &owners : NULL, err);
	if (r == OK)
		r = build_context_of_files(u->a->name, files, ret_context, err);
	if (r == OK)
		(*ret_context)->owners = TAKE(owners);
	return r;
}

int context_archive_read(const struct context_archive *a, const struct archive_reader *from, struct buf *dockerfile,
			 struct build_context **ret_context, struct err *err)
{
	CLEANUP(context_unpack_freep) struct archive_unpacking *u = NULL;
	CLEANUP(buf_free) struct buf first = BUF_INIT(TAR_BLOCK);
	struct err local = ERR_INIT, *e = err ? err : &local;
	int r = context_unpack_begin(a, &u, e);

	*ret_context = NULL;
	if (r != OK)
		return r;
	begin_source(u, "", from);
	r = read_first(u, &first, e);
	if (r == OK && dockerfile && !is_archive(&first))
		return read_dockerfile(u, &first, dockerfile, e);
	if (r == OK)
		r = add(u, buf_bytes(&first), e);
	return r == OK ? context_unpack_end(u, ret_context, e) : r;
}
