/* Layers in another form than they are here: compressed, inflated, with other times. */
#include "service/build/result/made.h"
#include "service/build/result/tar_clamp.h"
#include "service/image/compress_layer.h"
#include "service/image/synthetic_manifest.h"
#include "service/layer/archive.h"
#include "store/image/layer.h"

enum { PIECE_BYTES = 256 * 1024 };

/* ---- plain ----------------------------------------------------------------------- */

struct inflating {
	struct inflate_filter *filter;
	int fd;
	bool read_all;
	size_t at, len; /* of `in` that the filter has not taken */
	uint8_t in[PIECE_BYTES], out[PIECE_BYTES];
};

static void inflating_freep(struct inflating **i)
{
	if (*i)
		inflate_filter_free((*i)->filter);
	free(*i);
}

/* Something into the filter, or a wait. */
static int feed(struct inflating *i, struct cancel *cancel, struct err *err)
{
	size_t taken = 0;

	if (i->at == i->len && !i->read_all) {
		ssize_t n = read(i->fd, i->in, PIECE_BYTES);

		if (n < 0)
			return errno == EINTR ? OK : fail_errno(err, "read a layer");
		i->at = 0;
		i->len = (size_t)n;
		i->read_all = !n;
		if (i->read_all)
			inflate_filter_end(i->filter);
	}
	if (i->len - i->at && inflate_filter_write(i->filter, i->in + i->at, i->len - i->at, &taken, err) < 0)
		return err->code;
	i->at += taken;
	return taken ? OK : inflate_filter_wait(i->filter, cancel, err);
}

static int inflate_all(struct inflating *i, struct ingest *out, struct cancel *cancel, struct err *err)
{
	for (;;) {
		size_t len = 0;
		int r = inflate_filter_read(i->filter, i->out, PIECE_BYTES, &len, err);

		if (r == E_BUSY)
			r = feed(i, cancel, err);
		else if (r == OK && !len)
			return OK;
		else if (r == OK)
			r = ingest_write(out, i->out, len, err);
		if (r != OK)
			return r;
	}
}

/* By the sandboxed worker, since the bytes came from elsewhere. */
static int inflate_layer(const struct made *m, const struct made_layer *l, int fd, struct ingest **ret_plain,
			 struct err *err)
{
	const struct image_service *service = m->r->service;
	struct layer_policy policy = layer_policy_default();
	CLEANUP(inflating_freep) struct inflating *i = calloc(1, sizeof *i);
	CLEANUP(ingest_unrefp) struct ingest *plain = NULL;
	struct digest found;
	char text[DIGEST_TEXT_MAX];

	if (!i)
		return fail_nomem(err);
	i->fd = fd;
	if (ingest_open_unnamed(service->store, (enum digest_algorithm)l->facts.diff_id.algorithm, &plain, err) < 0 ||
	    inflate_filter_new(service->worker_program, &policy, &i->filter, err) < 0 ||
	    inflate_all(i, plain, m->r->cancel, err) < 0 || ingest_name(plain, &found, err) < 0)
		return err->code;
	if (!digest_eq(&found, &l->facts.diff_id))
		return fail(err, E_CORRUPT, "layer %s is damaged: its bytes are others", digest_text(&l->digest, text));
	*ret_plain = TAKE(plain);
	return OK;
}

static int open_layer(const struct made *m, const struct made_layer *l, int *ret_fd, struct err *err)
{
	return l->ingest ? ingest_reader(l->ingest, ret_fd, err)
			 : content_open(m->r->service->store, &l->digest, ret_fd, &(int64_t){ 0 }, err);
}

/* *ret_plain: what was made for it; NULL: the layer itself is plain. */
static int open_plain(const struct made *m, const struct made_layer *l, int *ret_fd, struct ingest **ret_plain,
		      struct err *err)
{
	CLEANUP(closep) int fd = -1;

	*ret_plain = NULL;
	if (open_layer(m, l, &fd, err) < 0)
		return err->code;
	if (l->compression == COMPRESSION_NONE) {
		*ret_fd = take_fd(&fd);
		return OK;
	}
	return inflate_layer(m, l, fd, ret_plain, err) < 0 ? err->code : ingest_reader(*ret_plain, ret_fd, err);
}

static void set_blob(struct made_layer *l, const struct digest *digest, struct ingest *ingest,
		     enum compression compression)
{
	ingest_unref(l->ingest);
	l->ingest = ingest;
	l->digest = *digest;
	l->size = ingest_offset(ingest);
	l->compression = compression;
}

/* ---- times ----------------------------------------------------------------------- */

static int write_out(void *ingest, const void *data, size_t len, struct err *err)
{
	return ingest_write(ingest, data, len, err);
}

static int clamp_layer(struct made *m, struct made_layer *l, struct err *err)
{
	CLEANUP(ingest_unrefp) struct ingest *plain = NULL;
	CLEANUP(ingest_unrefp) struct ingest *out = NULL;
	CLEANUP(closep) int fd = -1;
	struct digest digest;

	if (open_plain(m, l, &fd, &plain, err) < 0 ||
	    ingest_open_unnamed(m->r->service->store, DIGEST_SHA256, &out, err) < 0 ||
	    tar_clamp(fd, m->r->epoch, write_out, out, m->r->cancel, err) < 0 || ingest_name(out, &digest, err) < 0)
		return err->code;
	if (digest_eq(&digest, &l->facts.diff_id))
		return OK;
	set_blob(l, &digest, TAKE(out), COMPRESSION_NONE);
	l->facts.diff_id = digest;
	l->facts.tar_size = l->size;
	return OK;
}

int made_rewrite_times(struct made *m, struct err *err)
{
	if (!m->r->has_epoch)
		return OK;
	for (size_t i = 0; i < m->n; i++)
		for (size_t k = 0; k < m->images[i].n_layers; k++) {
			struct made_layer *l = &m->images[i].layers[k];

			if (l->above_base && clamp_layer(m, l, err) < 0)
				return err_wrap(err, "rewrite the times of a layer");
		}
	return OK;
}

/* ---- compression ----------------------------------------------------------------- */

/* A layer that several images have, or one of them twice, is done once. */
static const struct made_layer *find_done(const struct made *m, const struct made_layer *l, enum compression wanted)
{
	for (size_t i = 0; i < m->n; i++)
		for (size_t k = 0; k < m->images[i].n_layers; k++) {
			const struct made_layer *other = &m->images[i].layers[k];

			if (other == l)
				return NULL;
			if (other->compression == wanted && digest_eq(&other->facts.diff_id, &l->facts.diff_id))
				return other;
		}
	return NULL;
}

/* The same tar in this form, in another image. */
static bool find_here(const struct made *m, struct made_layer *l, enum compression wanted)
{
	enum { BLOBS_MAX = 16 };
	struct store *s = m->r->service->store;
	struct digest blobs[BLOBS_MAX];
	size_t n = layers_by_diff_id(s, &l->facts.diff_id, blobs, BLOBS_MAX);

	for (size_t i = 0; i < n; i++) {
		CLEANUP(closep) int fd = -1;
		const char *type;
		int64_t size;

		if (content_open(s, &blobs[i], &fd, &size, NULL) < 0 || layer_media_type(fd, &type, NULL) < 0 ||
		    media_type_of(type).compression != wanted)
			continue;
		ingest_unref(TAKE(l->ingest));
		l->digest = blobs[i];
		l->size = size;
		l->compression = wanted;
		return true;
	}
	return false;
}

static int convert(struct made *m, struct made_layer *l, const struct compress_options *options, struct err *err)
{
	CLEANUP(ingest_unrefp) struct ingest *plain = NULL;
	CLEANUP(ingest_unrefp) struct ingest *out = NULL;
	CLEANUP(closep) int fd = -1;
	struct digest digest = l->facts.diff_id;

	if (open_plain(m, l, &fd, &plain, err) < 0)
		return err->code;
	if (options->compression == COMPRESSION_NONE)
		out = TAKE(plain);
	else if (compress_layer(m->r->service->store, fd, &l->facts.diff_id, options, m->r->cancel, &out, &digest,
				err) < 0)
		return err->code;
	set_blob(l, &digest, TAKE(out), options->compression);
	return OK;
}

static int compress_one(struct made *m, struct made_layer *l, const struct compress_options *options, struct err *err)
{
	const struct made_layer *other = find_done(m, l, options->compression);

	if (other) {
		ingest_unref(l->ingest);
		l->ingest = other->ingest ? ingest_ref(other->ingest) : NULL;
		l->digest = other->digest;
		l->size = other->size;
		l->compression = other->compression;
		return OK;
	}
	/* Where the same bytes are wanted everywhere, who compressed the layer first must not show. */
	if (!options->level && !m->r->has_epoch && find_here(m, l, options->compression))
		return OK;
	return convert(m, l, options, err);
}

int made_compress(struct made *m, enum compression wanted, int level, bool force, struct err *err)
{
	struct compress_options options = { .compression = wanted, .level = level };

	for (size_t i = 0; i < m->n; i++)
		for (size_t k = 0; k < m->images[i].n_layers; k++) {
			struct made_layer *l = &m->images[i].layers[k];
			bool is_plain = l->compression == COMPRESSION_NONE;

			if (l->foreign || l->compression == wanted || (!is_plain && !force))
				continue;
			if (compress_one(m, l, &options, err) < 0)
				return err->code;
		}
	return OK;
}

int made_remember_layers(struct made *m, struct err *err)
{
	for (size_t i = 0; i < m->n; i++)
		for (size_t k = 0; k < m->images[i].n_layers; k++) {
			const struct made_layer *l = &m->images[i].layers[k];
			struct descriptor blob = { .digest = l->digest, .size = l->size };

			if (l->ingest && layer_facts_put(m->r->service->store, &blob, &l->facts, 1, err) < 0)
				return err->code;
		}
	return OK;
}
