#include "service/layer/walk_run.h"

#include "service/layer/tar_members.h"

struct walk_run {
	struct tar_members members;
	struct walk_request request;
	struct walk_answer answer;
};

static int answer_blocks(struct walk_run *r, int socket, struct err *err)
{
	int rc;

	do {
		rc = walk_request_receive(socket, &r->request, err);
		if (rc != OK)
			break;
		tar_members_take(&r->members, &r->request, &r->answer);
		rc = walk_answer_send(socket, &r->answer, err);
	} while (rc == OK);
	return rc == E_UNAVAILABLE ? OK : rc;
}

int walk_run(int socket, struct err *err)
{
	CLEANUP(freep) struct walk_run *r = calloc(1, sizeof *r);
	int rc;

	if (!r)
		return fail_nomem(err);
	tar_members_init(&r->members);
	rc = answer_blocks(r, socket, err);
	tar_members_free(&r->members);
	return rc;
}
