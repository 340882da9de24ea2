#include "service/layer/layer_run.h"

#include <sys/socket.h>

#include "service/layer/inflate.h"

enum {
	INPUT_BYTES = 256 * 1024,
	PROGRESS_BYTES = 16 * 1024 * 1024,
};

struct run {
	struct source *source;
	struct pipeline *pipeline;
	struct inflate inflate;
	struct inflate_in in;
	struct inflate_out out; /* of the slot that is being filled; next NULL: none */
	uint64_t written;	/* tar bytes submitted */
	uint64_t reported;	/* written at the last PROGRESS */
	uint8_t input[INPUT_BYTES];
};

/* What cannot be sent now is not worth waiting for. */
static void report_progress(struct run *r)
{
	struct layer_message m = layer_message_of(LAYER_PROGRESS, r->source->layer);

	m.u.progress.read = r->source->offset;
	m.u.progress.written = r->written;
	layer_message_send(r->source->socket, &m, -1, MSG_DONTWAIT, NULL);
	r->reported = r->written;
}

static int submit(struct run *r, struct err *err)
{
	size_t len = PIPELINE_SLOT_BYTES - r->out.left;

	if (!r->out.next || !len)
		return OK;
	pipeline_submit(r->pipeline, len);
	r->out = (struct inflate_out){ 0 };
	r->written += len;
	if (r->written - r->reported >= PROGRESS_BYTES)
		report_progress(r);
	return inflate_check(&r->inflate, &r->source->limits, r->source->offset - r->in.left, r->written, err);
}

/* Inflates what input there is. */
static int inflate_input(struct run *r, struct err *err)
{
	int rc;

	do {
		if (!r->out.next) {
			rc = pipeline_slot(r->pipeline, &r->out.next, err);
			if (rc != OK)
				return rc;
			r->out.left = PIPELINE_SLOT_BYTES;
		}
		rc = inflate_step(&r->inflate, &r->in, &r->out, err);
		if (rc != OK)
			return rc;
		if (r->out.left)
			break;
		rc = submit(r, err);
		if (rc != OK)
			return rc;
	} while (true);
	return r->in.left ? fail(err, E_WORKER, "the decoder does not go on") : OK;
}

/* The next input. Before it waits, what was made so far goes to the other thread. */
static int refill(struct run *r, struct err *err)
{
	size_t len;
	int rc = OK;

	if (!source_ready(r->source)) {
		rc = submit(r, err);
		if (r->written != r->reported)
			report_progress(r);
	}
	if (rc == OK)
		rc = source_read(r->source, r->input, sizeof r->input, &len, err);
	if (rc != OK)
		return rc;
	r->in = (struct inflate_in){ r->input, len };
	return OK;
}

/* Reads until the first bytes tell what the layer is. */
static int open_stream(struct run *r, struct err *err)
{
	enum inflate_format format;
	size_t len = 0, more;
	int rc;

	do {
		rc = source_read(r->source, r->input + len, sizeof r->input - len, &more, err);
		if (rc != OK)
			return rc;
		len += more;
	} while (more && len < INFLATE_MAGIC);
	r->in = (struct inflate_in){ r->input, len };
	rc = inflate_sniff((struct bytes){ r->input, len }, &format, err);
	if (rc == OK && r->source->counts_only && format != INFLATE_PLAIN)
		rc = fail(err, E_WORKER, "a layer that should be a plain tar is compressed");
	if (rc != OK)
		return rc;
	return inflate_init(&r->inflate, format, r->source->limits.zstd_window, err);
}

static int run_stream(struct run *r, struct err *err)
{
	int rc = open_stream(r, err);

	while (rc == OK && r->in.left) {
		rc = inflate_input(r, err);
		if (rc == OK)
			rc = refill(r, err);
	}
	if (rc == OK)
		rc = submit(r, err);
	if (rc == OK)
		rc = inflate_finish(&r->inflate, err);
	return rc;
}

static void inflate_of_run_free(struct run **r)
{
	if (*r)
		inflate_free(&(*r)->inflate);
	free(*r);
}

/* The other thread has seen earlier bytes: its word comes first. */
static int earliest_failure(struct pipeline *pipeline, int rc, struct err *err)
{
	struct err earlier = ERR_INIT;

	if (pipeline_drain(pipeline, &earlier) == OK)
		return rc;
	return fail(err, earlier.code, "%s", earlier.text);
}

/* A page of HTML in the place of a layer is the likeliest reason. */
static int explain(const struct run *r, int rc, struct err *err)
{
	if (rc == E_BAD_CONTENT && r->inflate.format == INFLATE_PLAIN && r->source->hint != COMPRESSION_NONE)
		return err_wrap(err, "layer is not compressed, though its media type says so");
	return rc;
}

int layer_run(struct source *source, struct pipeline *pipeline, struct pipeline_result *ret_result, struct err *err)
{
	CLEANUP(inflate_of_run_free) struct run *r = calloc(1, sizeof *r);
	int rc;

	if (!r)
		return fail_nomem(err);
	r->source = source;
	r->pipeline = pipeline;
	pipeline_begin(pipeline, &(struct pipeline_layer){ &source->limits, source->counts_only, source->stream });
	rc = run_stream(r, err);
	if (rc == OK)
		rc = pipeline_finish(pipeline, ret_result, err);
	else if (rc != E_CANCELLED && rc != E_UNAVAILABLE)
		rc = earliest_failure(pipeline, rc, err);
	else
		pipeline_drain(pipeline, NULL); /* the stream is about to be closed */
	return explain(r, rc, err);
}
