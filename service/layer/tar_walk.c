#include <assert.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/socket.h>

#include "proto/runtime/clock.h"
#include "proto/runtime/mem.h"
#include "service/layer/archive.h"
#include "service/layer/patience.h"
#include "service/layer/process.h"

struct tar_walk {
	struct process process; /* ended after a failure */
	struct patience patience;
	uint64_t entries, max_entries;
	uint64_t next;	   /* what the last step asked for */
	uint64_t end_from; /* the archive may end from here to `next`, when may_end */
	bool may_end;
	struct walk_answer answer; /* the last one: the texts of its step */
};

int tar_walk_new(const char *program, const struct layer_policy *policy, struct tar_walk **ret_walk, struct err *err)
{
	static const struct process_role role = { .mode = WORKER_MODE_TAR, .in = -1, .out = -1 };
	CLEANUP(tar_walk_freep) struct tar_walk *w = calloc(1, sizeof *w);
	int rc;

	if (!w)
		return fail_nomem(err);
	w->process = (struct process)PROCESS_INIT;
	w->max_entries = policy->limits.entries;
	rc = patience_init(&w->patience, policy->stall_ms, err);
	if (rc == OK)
		rc = process_start_as(program, &role, &w->process, err);
	if (rc != OK)
		return rc;
	*ret_walk = TAKE(w);
	return OK;
}

void tar_walk_free(struct tar_walk *w)
{
	if (!w)
		return;
	process_end(&w->process);
	patience_free(&w->patience);
	free(w);
}

void tar_walk_freep(struct tar_walk **w)
{
	tar_walk_free(*w);
}

/* ---- the worker ----------------------------------------------------------------- */

static int await_readable(struct tar_walk *w, struct cancel *cancel, struct err *err)
{
	struct pollfd socket = { .fd = w->process.socket, .events = POLLIN };

	return patience_poll(&w->patience, &socket, 1, &w->process, cancel, err);
}

static int await_ready(struct tar_walk *w, struct cancel *cancel, struct err *err)
{
	while (!w->process.ready) {
		struct layer_message m;
		int rc = await_readable(w, cancel, err);

		if (rc == OK)
			rc = process_receive(&w->process, MSG_DONTWAIT, &m, err);
		if (rc == OK)
			return process_fail_nonsense(&w->process, "an answer to nothing", err);
		if (rc != E_BUSY)
			return rc;
	}
	return OK;
}

static int await_answer(struct tar_walk *w, uint64_t offset, struct cancel *cancel, struct err *err)
{
	struct err why = ERR_INIT;
	int rc;

	do {
		rc = await_readable(w, cancel, err);
		if (rc != OK)
			return rc;
		rc = walk_answer_receive(w->process.socket, MSG_DONTWAIT, offset, &w->answer, &why);
	} while (rc == E_BUSY);
	return rc == OK ? OK : process_fail_transport(&w->process, rc, &why, err);
}

static int ask(struct tar_walk *w, const uint8_t *block, uint64_t offset, struct cancel *cancel, struct err *err)
{
	struct walk_request request;
	struct err why = ERR_INIT;
	int rc;

	patience_moved(&w->patience);
	rc = await_ready(w, cancel, err);
	if (rc != OK)
		return rc;
	walk_request_init(&request, offset, block);
	rc = walk_request_send(w->process.socket, &request, MSG_DONTWAIT, &why);
	if (rc != OK)
		return process_fail_transport(&w->process, rc == E_BUSY ? E_WORKER : rc, &why, err);
	return await_answer(w, offset, cancel, err);
}

/* ---- steps ---------------------------------------------------------------------- */

static int take_entry(struct tar_walk *w, struct tar_step *ret_step, struct err *err)
{
	const struct walk_answer *a = &w->answer;

	if (w->entries == w->max_entries) {
		process_end(&w->process);
		return fail(err, E_LIMIT, "archive has more than %" PRIu64 " entries", w->max_entries);
	}
	w->entries++;
	w->end_from = a->data_offset + a->size;
	*ret_step = (struct tar_step){
		.type = TAR_STEP_ENTRY,
		.next = a->next,
		.kind = a->kind,
		.data_offset = a->data_offset,
		.size = a->size,
		.name = a->name,
		.link = a->link,
	};
	return OK;
}

static int take_answer(struct tar_walk *w, struct tar_step *ret_step, struct err *err)
{
	const struct walk_answer *a = &w->answer;

	w->next = w->end_from = a->next;
	w->may_end = a->type != WALK_NEED || a->kind;
	switch (a->type) {
	case WALK_FAILED:
		return process_fail_told(&w->process, a->code, a->name, err);
	case WALK_ENTRY:
		return take_entry(w, ret_step, err);
	default:
		*ret_step = (struct tar_step){
			.type = a->type == WALK_END ? TAR_STEP_END : TAR_STEP_NEED,
			.next = a->next,
			.name = "",
			.link = "",
		};
		return OK;
	}
}

int tar_walk_block(struct tar_walk *w, const uint8_t block[WALK_BLOCK_BYTES], uint64_t offset, struct cancel *cancel,
		   struct tar_step *ret_step, struct err *err)
{
	int rc;

	assert(offset == w->next);
	if (!w->process.pid)
		return fail(err, E_WORKER, "imaged-layer has been ended by an earlier failure");
	rc = ask(w, block, offset, cancel, err);
	if (rc == OK)
		return take_answer(w, ret_step, err);
	process_end(&w->process); /* an answer that comes later would be taken for another one */
	return rc;
}

int tar_walk_end(const struct tar_walk *w, uint64_t size, struct err *err)
{
	if (!size)
		return fail(err, E_BAD_CONTENT, "archive is empty");
	if (w->may_end && size >= w->end_from && size <= w->next)
		return OK;
	return fail(err, E_BAD_CONTENT, "archive is truncated: it ends in the middle of an entry, at byte %" PRIu64,
		    size);
}
