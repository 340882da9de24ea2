#include "service/layer/image_run.h"

#include <sys/socket.h>

#include "proto/runtime/mem.h"
#include "service/layer/erofs/writer.h"
#include "service/layer/protocol.h"

enum { PIECE_BYTES = 256 * 1024, PROGRESS_BYTES = 16 * 1024 * 1024 };

struct order {
	uint32_t layer;
	int stream, image; /* -1: none */
	struct erofs_limits limits;
};

struct image_run {
	int socket;
	struct order order;
	uint64_t reported;
	bool ended; /* the stream */
	uint8_t piece[PIECE_BYTES];
};

/* ---- orders ----------------------------------------------------------------------- */

static int receive_part(struct image_run *r, enum layer_message_type type, struct layer_message *m, int *ret_fd,
			struct err *err)
{
	int rc = layer_message_receive(r->socket, 0, LAYER_FROM_DAEMON, m, ret_fd, err);

	if (rc == OK && m->type != type)
		return fail(err, E_WORKER, "message of type %u where %d is expected", m->type, type);
	return rc;
}

static void take_limits(struct order *o, const struct layer_image_limits *l)
{
	o->limits = (struct erofs_limits){
		.entries = l->entries,
		.file_bytes = l->file_bytes,
		.image_bytes = l->image_bytes,
		.tree_bytes = l->tree_bytes,
		.xattr_bytes = l->xattr_bytes < UINT32_MAX ? (uint32_t)l->xattr_bytes : UINT32_MAX,
		.drop_trusted = l->drop_trusted,
	};
}

static int receive_order(struct image_run *r, struct err *err)
{
	struct order *o = &r->order;
	struct layer_message stream, image;
	int rc = receive_part(r, LAYER_STREAM, &stream, &o->stream, err);

	if (rc == OK)
		rc = receive_part(r, LAYER_IMAGE, &image, &o->image, err);
	if (rc != OK)
		return rc;
	if (image.layer != stream.layer || image.layer <= o->layer)
		return fail(err, E_WORKER, "layer %u after layer %u", image.layer, o->layer);
	o->layer = image.layer;
	take_limits(o, &image.u.image.limits);
	return OK;
}

static void close_order(struct order *o)
{
	closep(&o->stream);
	closep(&o->image);
	o->stream = o->image = -1;
}

/* ---- one image -------------------------------------------------------------------- */

/* What cannot be sent now is not worth waiting for. */
static void report_progress(struct image_run *r, uint64_t read)
{
	struct layer_message m = layer_message_of(LAYER_PROGRESS, r->order.layer);

	if (read - r->reported < PROGRESS_BYTES)
		return;
	m.u.progress.read = read;
	layer_message_send(r->socket, &m, -1, MSG_DONTWAIT, NULL);
	r->reported = read;
}

static int read_piece(struct image_run *r, size_t *ret_len, struct err *err)
{
	ssize_t n;

	do
		n = read(r->order.stream, r->piece, sizeof r->piece);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_errno(err, "read the layer's tar");
	*ret_len = (size_t)n;
	return OK;
}

static int write_image(struct image_run *r, struct erofs_writer *w, struct erofs_result *result, struct err *err)
{
	uint64_t read = 0;
	size_t len = 0;
	int rc = OK;

	r->reported = 0;
	while (rc == OK) {
		rc = read_piece(r, &len, err);
		r->ended = rc == OK && !len;
		if (rc != OK || !len)
			break;
		rc = erofs_writer_feed(w, r->piece, len, err);
		read += len;
		report_progress(r, read);
	}
	return rc == OK ? erofs_writer_finish(w, result, err) : rc;
}

static int answer(const struct image_run *r, int code, const struct erofs_result *result, const struct err *why,
		  struct err *err)
{
	struct layer_message m = layer_message_of(code == OK ? LAYER_IMAGED : LAYER_FAILED, r->order.layer);

	if (code == OK) {
		m.u.imaged.image_bytes = result->image_bytes;
		m.u.imaged.tar_bytes = result->tar_bytes;
		m.u.imaged.entries = result->entries;
		m.u.imaged.inodes = result->inodes;
		m.u.imaged.root_is_opaque = result->root_is_opaque;
	} else {
		m.u.failed.code = layer_code_allowed(code) ? code : E_IO;
		m.u.failed.at_end = r->ended;
		layer_text_clean(why->text, sizeof why->text, m.u.failed.text, sizeof m.u.failed.text);
	}
	return layer_message_send(r->socket, &m, -1, 0, err);
}

/* Its names are forgotten after the answer, for which somebody waits. */
static int serve_order(struct image_run *r, struct err *err)
{
	CLEANUP(erofs_writer_freep) struct erofs_writer *w = NULL;
	struct erofs_result result = { 0 };
	struct err why = ERR_INIT;
	int rc;

	r->ended = false;
	rc = erofs_writer_new(r->order.image, &r->order.limits, &w, &why);

	if (rc == OK)
		rc = write_image(r, w, &result, &why);
	close_order(&r->order);
	return answer(r, rc, &result, &why, err);
}

int image_run(int socket, struct err *err)
{
	CLEANUP(freep) struct image_run *r = calloc(1, sizeof *r);
	int rc;

	if (!r)
		return fail_nomem(err);
	r->socket = socket;
	r->order.stream = r->order.image = -1;
	do {
		rc = receive_order(r, err);
		if (rc == OK)
			rc = serve_order(r, err);
	} while (rc == OK);
	close_order(&r->order);
	return rc == E_UNAVAILABLE ? OK : rc;
}
