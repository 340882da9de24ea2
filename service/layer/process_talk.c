/* The messages of one worker; process.c has its birth and its death. */
#include "service/layer/process.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "proto/runtime/clock.h"
#include "proto/runtime/mem.h"
#include "service/metrics/counters.h"

int process_fail_nonsense(struct process *p, const char *what, struct err *err)
{
	metric_add(METRIC_WORKER_FAILURES, 1);
	process_end(p);
	return fail(err, E_WORKER, "imaged-layer speaks nonsense: %s", what);
}

int process_fail_told(struct process *p, int code, const char text[LAYER_TEXT_MAX], struct err *err)
{
	char clean[LAYER_TEXT_MAX];

	layer_text_clean(text, LAYER_TEXT_MAX, clean, sizeof clean);
	process_end(p);
	return fail(err, code, "%s", clean);
}

static int take_ready(struct process *p, const struct layer_message *m, struct err *err)
{
	char text[LAYER_TEXT_MAX], missing[LAYER_TEXT_MAX];

	layer_text_clean(m->u.ready.note, sizeof m->u.ready.note, text, sizeof text);
	if (~m->u.ready.sandbox & SANDBOX_REQUIRED) {
		layer_sandbox_text(~m->u.ready.sandbox & SANDBOX_REQUIRED, missing, sizeof missing);
		process_end(p);
		return fail(err, E_WORKER, "imaged-layer has no sandbox: %s is missing", missing);
	}
	p->ready = true;
	p->sandbox = m->u.ready.sandbox;
	memcpy(p->note, text, sizeof p->note);
	return OK;
}

/* The first message: READY, or FAILED in its place. */
static int take_first(struct process *p, const struct layer_message *m, struct err *err)
{
	char text[LAYER_TEXT_MAX];

	if (m->type == LAYER_READY)
		return take_ready(p, m, err);
	if (m->type != LAYER_FAILED || m->layer)
		return process_fail_nonsense(p, "a message before READY", err);
	layer_text_clean(m->u.failed.text, sizeof m->u.failed.text, text, sizeof text);
	process_end(p);
	return fail(err, E_WORKER, "imaged-layer: %s", text);
}

int process_fail_transport(struct process *p, int rc, const struct err *why, struct err *err)
{
	if (rc == E_BUSY)
		return fail(err, rc, "%s", why->text);
	if (rc == E_UNAVAILABLE)
		return process_fail_died(p, err);
	return process_fail_nonsense(p, why->text, err);
}

int process_receive(struct process *p, int flags, struct layer_message *ret_message, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = layer_message_receive(p->socket, flags, LAYER_FROM_WORKER, ret_message, NULL, &why);

	if (rc == OK && !p->ready) {
		rc = take_first(p, ret_message, err);
		if (rc != OK)
			return rc;
		rc = layer_message_receive(p->socket, flags, LAYER_FROM_WORKER, ret_message, NULL, &why);
	}
	if (rc != OK)
		return process_fail_transport(p, rc, &why, err);
	if (ret_message->type == LAYER_READY)
		return process_fail_nonsense(p, "READY twice", err);
	return OK;
}

int process_send(struct process *p, const struct layer_message *m, int fd, struct err *err)
{
	int rc = layer_message_send(p->socket, m, fd, MSG_DONTWAIT, err);

	return rc == OK || rc == E_BUSY ? rc : process_fail_died(p, err);
}

int process_await_ready(struct process *p, int64_t ms, struct err *err)
{
	struct pollfd wait = { .fd = p->socket, .events = POLLIN };
	int64_t until = clock_monotonic_ms() + ms;
	struct layer_message m;
	int rc;

	do {
		int64_t left = until - clock_monotonic_ms();

		if (left <= 0 || (poll(&wait, 1, (int)left) < 0 && errno != EINTR)) {
			process_end(p);
			return fail(err, E_WORKER, "imaged-layer does not get ready");
		}
		rc = process_receive(p, MSG_DONTWAIT, &m, err);
		if (rc == OK)
			return process_fail_nonsense(p, "an answer to nothing", err);
	} while (rc == E_BUSY && !p->ready);
	return rc == E_BUSY ? OK : rc;
}
