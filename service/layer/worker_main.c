/*
 * imaged-layer: reads what comes from outside, without any right on the machine. By
 * argv[1]: nothing: inflates, hashes and counts the layers of one pull; "erofs": makes
 * images of their tars; "inflate": inflates one stream from descriptor 0 to 1; "untar":
 * makes plain records of the tar in such a stream; "tar": reads the headers of one archive.
 * Started by imaged, with a socket at LAYER_SOCKET_FD and nothing else; see protocol.h
 * and archive_protocol.h for what is said there.
 */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/runtime/mem.h"
#include "service/layer/archive_protocol.h"
#include "service/layer/filter_run.h"
#include "service/layer/image_run.h"
#include "service/layer/layer_run.h"
#include "service/layer/sandbox.h"
#include "service/layer/untar_run.h"
#include "service/layer/walk_run.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_NOT_BY_HAND = 64 };

static int send_failed(const struct source *s, const struct err *why, struct err *err)
{
	struct layer_message m = layer_message_of(LAYER_FAILED, s->layer);

	m.u.failed.code = why->code;
	layer_text_clean(why->text, sizeof why->text, m.u.failed.text, sizeof m.u.failed.text);
	return layer_message_send(s->socket, &m, -1, 0, err);
}

static int send_ready(const struct source *s, const struct sandbox *sandbox, struct err *err)
{
	struct layer_message m = layer_message_of(LAYER_READY, 0);

	m.u.ready.sandbox = sandbox->in_force;
	layer_text_clean(sandbox->note, sizeof sandbox->note, m.u.ready.note, sizeof m.u.ready.note);
	return layer_message_send(s->socket, &m, -1, 0, err);
}

static int send_result(const struct source *s, const struct pipeline_result *r, struct err *err)
{
	struct layer_message m = layer_message_of(LAYER_RESULT, s->layer);

	memcpy(m.u.result.diff_id, r->diff_id, sizeof m.u.result.diff_id);
	m.u.result.tar_bytes = r->tar_bytes;
	m.u.result.files_bytes = r->files_bytes;
	m.u.result.end_mark = r->end_mark;
	m.u.result.entries = r->entries;
	return layer_message_send(s->socket, &m, -1, 0, err);
}

static int send_cancelled(const struct source *s, struct err *err)
{
	struct layer_message m = layer_message_of(LAYER_CANCELLED, s->layer);

	return layer_message_send(s->socket, &m, -1, 0, err);
}

/* One layer, from its BEGIN to its answer. Fails when there is nobody to answer. */
static int serve_layer(struct source *s, struct pipeline *p, struct err *err)
{
	struct pipeline_result result;
	struct err why = ERR_INIT;
	int rc = layer_run(s, p, &result, &why);

	source_end(s);
	switch (rc) {
	case OK:
		return send_result(s, &result, err);
	case E_CANCELLED:
		return send_cancelled(s, err);
	case E_UNAVAILABLE:
		return fail(err, rc, "%s", why.text);
	default:
		return send_failed(s, &why, err);
	}
}

static int run_layers(struct source *s, struct pipeline *p, struct err *err)
{
	int rc;

	do {
		rc = source_begin(s, err);
		if (rc == OK)
			rc = serve_layer(s, p, err);
	} while (rc == OK);
	return rc == E_UNAVAILABLE ? OK : rc;
}

/* ---- what it is for ---------------------------------------------------------------- */

/* The threads begin to live in the middle of the sandbox. */
static int begin_layers(struct pipeline **ret_pipeline, struct err *err)
{
	signal(SIGPIPE, SIG_IGN); /* who reads a layer's tar may end before the layer */
	mallopt(M_ARENA_MAX, 1);  /* an arena of its own for the second thread reserves 64 MiB of address space */
	return pipeline_new(ret_pipeline, err);
}

static int run_filter(struct source *s, struct pipeline *p UNUSED, struct err *err)
{
	return filter_run(s->socket, err);
}

static int run_untar(struct source *s, struct pipeline *p UNUSED, struct err *err)
{
	return untar_run(s->socket, err);
}

static int run_images(struct source *s, struct pipeline *p UNUSED, struct err *err)
{
	return image_run(s->socket, err);
}

static int run_walk(struct source *s, struct pipeline *p UNUSED, struct err *err)
{
	return walk_run(s->socket, err);
}

struct mode {
	const char *name; /* argv[1] */
	enum sandbox_work work;
	int (*run)(struct source *, struct pipeline *, struct err *);
};

static const struct mode modes[] = {
	{ "", SANDBOX_READS_FILES, run_layers },
	{ WORKER_MODE_EROFS, SANDBOX_WRITES_IMAGES, run_images },
	{ WORKER_MODE_INFLATE, SANDBOX_FILTERS, run_filter },
	{ WORKER_MODE_UNTAR, SANDBOX_FILTERS, run_untar },
	{ WORKER_MODE_TAR, SANDBOX_TALKS, run_walk },
};

static const struct mode *mode_of(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (!strcmp(modes[i].name, name))
			return &modes[i];
	return NULL;
}

/* Into the sandbox. */
static int prepare(const struct mode *mode, struct source *s, struct pipeline **ret_pipeline, struct err *err)
{
	CLEANUP(pipeline_freep) struct pipeline *p = NULL;
	struct sandbox sandbox;
	int rc = sandbox_drop(&sandbox, err);

	if (rc == OK && mode->run == run_layers)
		rc = begin_layers(&p, err);
	if (rc == OK)
		rc = sandbox_seal(&sandbox, s->socket, mode->work, err);
	if (rc == OK)
		rc = send_ready(s, &sandbox, err);
	if (rc == OK)
		*ret_pipeline = TAKE(p);
	return rc;
}

static bool is_our_socket(int fd)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof domain;

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) && domain == AF_UNIX &&
	       !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_SEQPACKET;
}

int main(int argc, char **argv)
{
	const struct mode *mode = mode_of(argc, argv);
	struct source source = { .socket = LAYER_SOCKET_FD, .fd = -1, .stream = -1 };
	struct pipeline *pipeline = NULL;
	struct err err = ERR_INIT;

	if (!mode || !is_our_socket(LAYER_SOCKET_FD)) {
		fprintf(stderr, "imaged-layer %s: this program is started by imaged and does nothing by hand\n",
			IMAGED_VERSION);
		return EXIT_NOT_BY_HAND;
	}
	if (prepare(mode, &source, &pipeline, &err) != OK) {
		send_failed(&source, &err, NULL);
		_exit(EXIT_FAILED);
	}
	_exit(mode->run(&source, pipeline, &err) == OK ? EXIT_DONE : EXIT_FAILED);
}
