#include "service/registry/referrers_tag.h"

#include "service/registry/referrers.h"
#include "service/registry/refusal.h"

enum { ROUNDS_MAX = 5, PAUSE_MS = 100 };

/* Whatever is under that tag is asked for: what is no list must not be taken for none. */
int referrers_read_tag(struct repository *r, const struct digest *subject, enum host_capability capability,
		       struct cancel *cancel, struct reply *ret_reply, struct err *err)
{
	CLEANUP(reply_free) struct reply reply = { 0 };
	char tag[REFERENCE_TAG_MAX + 1];
	CLEANUP(freep) char *path = request_path(r, "manifests", referrers_tag(subject, tag));
	struct request q = { .method = "GET", .path = path, .capability = capability, .accept = manifest_accept };
	struct wanted w = { .blob = subject };
	int code = path ? request_reply(r, &q, MANIFEST_BYTES_MAX, cancel, &reply, err) : fail_nomem(err);

	if (code < 0)
		return code;
	if (reply.status == 404)
		buf_free(&reply.body);
	else if (reply.status != 200)
		return refusal_of(r, &w, &reply, err);
	*ret_reply = TAKE(reply);
	return OK;
}

/* A tag that was written meanwhile (412) is no failure: the next round sees what it holds. */
static int write_tag(struct repository *r, const struct digest *subject, struct bytes index, const char *etag,
		     struct cancel *cancel, struct err *err)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	char tag[REFERENCE_TAG_MAX + 1];
	CLEANUP(freep) char *path = request_path(r, "manifests", referrers_tag(subject, tag));
	struct request q = { .method = "PUT", .path = path, .capability = HOST_PUSH, .if_match = etag, .body = index };
	struct wanted w = { .push = true };
	int status, code;

	q.content_type = REFERRERS_MEDIA_TYPE;
	code = path ? request_patient(r, &q, cancel, &a, err) : fail_nomem(err);
	if (code < 0)
		return code;
	status = http_response_of(a.x)->status;
	if (status != 412 && (status < 200 || status > 202))
		return refusal_of_answer(r, &w, &a, cancel, err);
	http_drain(a.x);
	return OK;
}

int registry_list_referrer(struct repository *r, const struct digest *subject, struct bytes manifest,
			   const struct digest *digest, struct cancel *cancel, struct err *err)
{
	const struct retry_env *env = r->registry->env;
	char text[DIGEST_TEXT_MAX];

	for (int round = 0; round < ROUNDS_MAX; round++) {
		CLEANUP(reply_free) struct reply now = { 0 };
		CLEANUP(buf_free) struct buf index = BUF_INIT(MANIFEST_BYTES_MAX);
		bool listed = false;
		int code;

		if (round > 1 && !env->sleep(env->arg, cancel, PAUSE_MS * round + env->chance(env->arg) % PAUSE_MS))
			return cancel_check(cancel, err);
		code = referrers_read_tag(r, subject, HOST_PUSH, cancel, &now, err);
		if (code == OK)
			code = referrers_index_add(buf_bytes(&now.body), manifest, digest, &index, &listed, err);
		if (code == OK && !listed)
			code = write_tag(r, subject, buf_bytes(&index), now.etag, cancel, err);
		if (code < 0 || listed)
			return code;
	}
	return fail(err, E_REGISTRY, "the registry does not keep %s in the list of what refers to its subject",
		    digest_text(digest, text));
}
