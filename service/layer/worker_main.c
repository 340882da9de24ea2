/*
 * imaged-layer: inflates, hashes and counts the layers of one pull, without any
 * right on the machine. Started by imaged, with a socket at LAYER_SOCKET_FD and
 * nothing else; see protocol.h for what is said there.
 */
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/runtime/mem.h"
#include "service/layer/layer_run.h"
#include "service/layer/sandbox.h"

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

static int serve(struct source *s, struct pipeline *p, struct err *err)
{
	int rc;

	do {
		rc = source_begin(s, err);
		if (rc == OK)
			rc = serve_layer(s, p, err);
	} while (rc == OK);
	return rc == E_UNAVAILABLE ? OK : rc;
}

/* Into the sandbox; the threads begin to live in the middle of it. */
static int prepare(struct source *s, struct pipeline **ret_pipeline, struct err *err)
{
	CLEANUP(pipeline_freep) struct pipeline *p = NULL;
	struct sandbox sandbox;
	int rc = sandbox_drop(&sandbox, err);

	if (rc == OK)
		rc = pipeline_new(&p, err);
	if (rc == OK)
		rc = sandbox_seal(&sandbox, s->socket, err);
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

int main(void)
{
	struct source source = { .socket = LAYER_SOCKET_FD, .fd = -1 };
	struct pipeline *pipeline = NULL;
	struct err err = ERR_INIT;

	if (!is_our_socket(LAYER_SOCKET_FD)) {
		fprintf(stderr, "imaged-layer %s: this program is started by imaged and does nothing by hand\n",
			IMAGED_VERSION);
		return EXIT_NOT_BY_HAND;
	}
	mallopt(M_ARENA_MAX, 1); /* an arena of its own for the second thread reserves 64 MiB of address space */
	if (prepare(&source, &pipeline, &err) != OK) {
		send_failed(&source, &err, NULL);
		_exit(EXIT_FAILED);
	}
	_exit(serve(&source, pipeline, &err) == OK ? EXIT_DONE : EXIT_FAILED);
}
