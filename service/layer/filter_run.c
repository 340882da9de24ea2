#include "service/layer/filter_run.h"

#include "service/layer/inflate.h"

enum { BUFFER_BYTES = 256 * 1024 };

struct filter {
	uint32_t number; /* of the FILTER */
	struct layer_limits limits;
	struct inflate inflate;
	struct inflate_in in;
	const struct filter_output *to;
	uint64_t read, written; /* compressed, plain */
	uint64_t sent;
	bool ended; /* the input */
	uint8_t input[BUFFER_BYTES], output[BUFFER_BYTES];
};

/* ---- the pipes ------------------------------------------------------------------ */

/* Appends to what there is of input. */
static int read_more(struct filter *f, struct err *err)
{
	size_t len = f->in.left;
	ssize_t n;

	do
		n = read(STDIN_FILENO, f->input + len, sizeof f->input - len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_errno(err, "read the stream");
	f->ended = n == 0;
	f->read += (uint64_t)n;
	f->in = (struct inflate_in){ f->input, len + (size_t)n };
	return OK;
}

int filter_write(const uint8_t *data, size_t len, struct err *err)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, data, len);

		if (n < 0 && errno != EINTR)
			return fail_errno(err, "write the stream");
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return OK;
}

/* ---- the stream ----------------------------------------------------------------- */

/* Inflates what input there is. */
static int inflate_input(struct filter *f, struct err *err)
{
	struct inflate_out out;
	int rc;

	do {
		size_t len;

		out = (struct inflate_out){ f->output, sizeof f->output };
		rc = inflate_step(&f->inflate, &f->in, &out, err);
		if (rc != OK)
			return rc;
		len = sizeof f->output - out.left;
		f->written += len;
		rc = inflate_check(&f->inflate, &f->limits, f->read - f->in.left, f->written, err);
		if (rc == OK)
			rc = f->to->take(f->to->arg, f->output, len, err);
	} while (rc == OK && !out.left);
	if (rc == OK && f->in.left)
		return fail(err, E_WORKER, "the decoder does not go on");
	return rc;
}

static int open_stream(struct filter *f, struct err *err)
{
	enum inflate_format format;
	int rc;

	do
		rc = read_more(f, err);
	while (rc == OK && !f->ended && f->in.left < INFLATE_MAGIC);
	if (rc != OK)
		return rc;
	format = magic_format((struct bytes){ f->input, f->in.left });
	if (format == INFLATE_PLAIN && !f->to->takes_plain)
		return fail(err, E_BAD_CONTENT, "archive is not compressed with gzip, zstd, xz or bzip2");
	return inflate_init(&f->inflate, format, f->limits.zstd_window, err);
}

static int run_stream(struct filter *f, struct err *err)
{
	int rc = f->to->begin(f->to->arg, &f->limits, err);

	if (rc == OK)
		rc = open_stream(f, err);
	f->inflate.noun = "archive";
	while (rc == OK && f->in.left) {
		rc = inflate_input(f, err);
		if (rc == OK)
			rc = read_more(f, err);
	}
	if (rc == OK)
		rc = inflate_finish(&f->inflate, err);
	return rc == OK ? f->to->finish(f->to->arg, &f->sent, err) : rc;
}

/* ---- the stream as it is ---------------------------------------------------------- */

static int begin_plain(void *sent, const struct layer_limits *limits UNUSED, struct err *err UNUSED)
{
	*(uint64_t *)sent = 0;
	return OK;
}

static int take_plain(void *sent, const uint8_t *data, size_t len, struct err *err)
{
	*(uint64_t *)sent += len;
	return filter_write(data, len, err);
}

static int finish_plain(void *sent, uint64_t *ret_written, struct err *err UNUSED)
{
	*ret_written = *(uint64_t *)sent;
	return OK;
}

/* ---- the socket ----------------------------------------------------------------- */

static int receive_limits(struct filter *f, int socket, struct err *err)
{
	struct layer_message m;
	int rc = layer_message_receive(socket, 0, LAYER_FROM_DAEMON, &m, NULL, err);

	if (rc != OK)
		return rc;
	if (m.type != LAYER_FILTER)
		return fail(err, E_WORKER, "message of type %u where only FILTER is expected", m.type);
	f->number = m.layer;
	f->limits = m.u.filter.limits;
	return OK;
}

static int answer(const struct filter *f, int socket, int code, const struct err *why, struct err *err)
{
	struct layer_message m = layer_message_of(code == OK ? LAYER_RESULT : LAYER_FAILED, f->number);

	if (code == OK) {
		m.u.result.tar_bytes = f->sent;
	} else {
		m.u.failed.code = layer_code_allowed(code) ? code : E_IO;
		layer_text_clean(why->text, sizeof why->text, m.u.failed.text, sizeof m.u.failed.text);
	}
	return layer_message_send(socket, &m, -1, 0, err);
}

int filter_run_into(int socket, const struct filter_output *output, struct err *err)
{
	CLEANUP(freep) struct filter *f = calloc(1, sizeof *f);
	struct err why = ERR_INIT;
	int rc;

	if (!f)
		return fail_nomem(err);
	f->to = output;
	rc = receive_limits(f, socket, err);
	if (rc != OK)
		return rc == E_UNAVAILABLE ? OK : rc;
	rc = run_stream(f, &why);
	inflate_free(&f->inflate);
	return answer(f, socket, rc, &why, err);
}

int filter_run(int socket, struct err *err)
{
	uint64_t sent;
	const struct filter_output output = {
		.arg = &sent, .begin = begin_plain, .take = take_plain, .finish = finish_plain
	};

	return filter_run_into(socket, &output, err);
}
