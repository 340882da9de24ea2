#include "service/build/session/layout.h"

#include <sys/stat.h>

#include "service/build/diff/tar_put.h"
#include "service/build/session/base_layers.h"
#include "service/image/load.h"
#include "store/types/oci_layout.h"

enum { PIECE_BYTES = 256 * 1024, HEADER_MAX = 64 * 1024 };

/* ---- which image -------------------------------------------------------------------------- */

static bool is_wanted(const struct session_context *c, const struct descriptor *entry, const struct oci_names *names)
{
	char digest[DIGEST_TEXT_MAX];

	if (*c->digest)
		return !strcmp(digest_text(&entry->digest, digest), c->digest);
	return !strcmp(names->ref_name, *c->tag ? c->tag : "latest");
}

/* The only one there is needs no name. */
static int choose_root(const struct session_context *c, struct bytes json, struct digest *ret_root, struct err *err)
{
	CLEANUP(oci_index_free) struct oci_index index = { .names = NULL };

	if (oci_index_parse(json, &index, err) < 0)
		return err->code;
	for (size_t i = 0; i < index.index.n_entries; i++)
		if (is_wanted(c, &index.index.entries[i], &index.names[i])) {
			*ret_root = index.index.entries[i].digest;
			return OK;
		}
	if (index.index.n_entries != 1 || *c->tag || *c->digest)
		return fail(err, E_NOT_FOUND, "the OCI layout of context %.128s has no image %.128s", c->name,
			    *c->digest ? c->digest
			    : *c->tag  ? c->tag
				       : "latest");
	*ret_root = index.index.entries[0].digest;
	return OK;
}

/* ---- its files, as an archive ---------------------------------------------------------------- */

struct layout_reader {
	const struct session_context *context;
	uint32_t next; /* entry of the list */
	uint64_t left; /* bytes of the entry before */
	struct build_file file;
	size_t padding; /* behind them */
	bool ended;
	struct buf piece;
};

/* Directories are made of the names. */
static int next_header(struct layout_reader *r, struct err *err)
{
	const struct context_list *list = build_context_list(r->context->files);
	struct tar_put header = { .type = TAR_PUT_FILE, .mode = 0644 };

	while (r->next < context_list_count(list) && !S_ISREG(context_list_mode(list, r->next)))
		r->next++;
	if (r->next == context_list_count(list)) {
		r->ended = true;
		memset(buf_reserve(&r->piece, TAR_PUT_END), 0, TAR_PUT_END);
		r->piece.len += TAR_PUT_END;
		return OK;
	}
	build_context_file(r->context->files, context_list_source(list, r->next), &r->file);
	header.name = context_list_path(list, r->next++);
	header.size = (uint64_t)r->file.size;
	r->left = header.size;
	r->padding = tar_put_padding(header.size);
	return tar_put_header(&header, &r->piece) ? OK : fail_nomem(err);
}

static int next_data(struct layout_reader *r, struct err *err)
{
	size_t want = min_size(r->left, PIECE_BYTES);
	uint8_t *room = buf_reserve(&r->piece, want + r->padding);
	ssize_t n = room ? pread(r->file.fd, room, want, r->file.offset + r->file.size - (int64_t)r->left) : 0;

	if (!room)
		return fail_nomem(err);
	if (n < 0 && errno != EINTR)
		return fail_errno(err, "a file of the OCI layout");
	if (n == 0)
		return fail(err, E_IO, "a file of the OCI layout has become shorter");
	n = n < 0 ? 0 : n;
	r->left -= (uint64_t)n;
	r->piece.len += (size_t)n;
	if (!r->left) {
		memset(room + n, 0, r->padding);
		r->piece.len += r->padding;
	}
	return OK;
}

static int receive(void *reader, struct bytes *ret_data, struct err *err)
{
	struct layout_reader *r = reader;

	buf_reset(&r->piece);
	while (!r->piece.len) {
		if (r->ended)
			return 0;
		if ((r->left ? next_data(r, err) : next_header(r, err)) < 0)
			return err->code;
	}
	*ret_data = buf_bytes(&r->piece);
	return 1;
}

static int ignore_event(UNUSED void *reader, UNUSED const Imaged__V1__LoadEvent *event, UNUSED struct err *err)
{
	return OK;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static int load_files(struct session *s, const struct session_context *files, const struct platform *platform,
		      struct err *err)
{
	struct layout_reader r = { .context = files, .piece = BUF_INIT(PIECE_BYTES + HEADER_MAX) };
	const struct load_peer peer = {
		.receive = receive, .send = ignore_event, .arg = &r, .cancel = s->cancel, .platform = *platform
	};
	const struct context_range all = { 0, context_list_count(build_context_list(files->files)) };
	int code = build_context_need(files->files, &all, 1, s->cancel, err);

	if (code == OK)
		code = load_unnamed(s->service, &peer, err);
	buf_free(&r.piece);
	return code;
}

static int load_and_choose(struct session *s, const struct session_context *c, const struct platform *platform,
			   struct digest *ret_manifest, struct err *err)
{
	struct session_context *files = session_context_named(s, c->target);
	CLEANUP(buf_free) struct buf json = BUF_INIT(MANIFEST_BYTES_MAX);
	struct digest root;

	if (!files || files->kind != SESSION_CONTEXT_DIRECTORY)
		return fail(err, E_INVALID, "no context brings the OCI layout %.128s", c->target);
	if (session_context_load(s, files, err) < 0 || session_context_read(s, files, "index.json", &json, err) < 0 ||
	    choose_root(c, buf_bytes(&json), &root, err) < 0 || load_files(s, files, platform, err) < 0)
		return err->code;
	return base_layers_choose_root(s->service->store, &root, platform, ret_manifest, err);
}

int layout_load(struct session *s, const struct session_context *c, const struct platform *platform,
		struct digest *ret_manifest, struct err *err)
{
	CLEANUP(freep) char *title = format("[context %s] load %s", c->name, c->message->url);
	struct vertex *v = title ? progress_begin(s->progress, title, NULL) : NULL;
	int r = load_and_choose(s, c, platform, ret_manifest, err);

	if (r < 0)
		vertex_failed(v, err);
	else
		vertex_done(v);
	return r < 0 ? err_wrap(err, "context %.128s", c->name) : OK;
}
