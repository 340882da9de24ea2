/* Small blobs in memory, compared with their descriptor. */
#include <stdio.h>

#include "service/registry/refusal.h"

static int check(const struct repository *r, const struct descriptor *d, const struct buf *body, struct err *err)
{
	char wanted[DIGEST_TEXT_MAX], text[DIGEST_TEXT_MAX];
	struct digest got;

	digest_of(d->digest.algorithm, buf_bytes(body), &got);
	if (digest_eq(&got, &d->digest) && (int64_t)body->len == d->size)
		return OK;
	return fail(
		err, E_DIGEST_MISMATCH, "blob %s of %s: the registry sent other bytes: %zu of %lld bytes, digest %s",
		digest_text(&d->digest, wanted), r->familiar, body->len, (long long)d->size, digest_text(&got, text));
}

int registry_blob(struct repository *r, const struct descriptor *d, struct buf *out, struct cancel *cancel,
		  struct err *err)
{
	CLEANUP(reply_free) struct reply reply = { 0 };
	char digest[DIGEST_TEXT_MAX];
	CLEANUP(freep) char *path = request_path(r, "blobs", digest_text(&d->digest, digest));
	struct request q = { .method = "GET", .path = path };
	struct wanted w = { .blob = &d->digest };
	int code;

	if (!path)
		return fail_nomem(err);
	if (d->size > (int64_t)out->max)
		return fail(err, E_LIMIT, "blob %s of %s: %lld bytes are more than the %zu allowed", digest,
			    r->familiar, (long long)d->size, out->max);
	code = request_reply(r, &q, (size_t)d->size, cancel, &reply, err);
	if (code != OK)
		return code;
	if (reply.status != 200)
		return refusal_of(r, &w, &reply, err);
	code = check(r, d, &reply.body, err);
	if (code != OK)
		return code;
	return buf_append(out, reply.body.data, reply.body.len) ? OK : fail_nomem(err);
}
