/* Blobs that are documents. */
#include "service/registry/refusal.h"

static int take(const struct descriptor *d, const char *text, struct reply *reply, struct buf *ret_body,
		struct err *err)
{
	struct digest got;

	if ((int64_t)reply->body.len != d->size)
		return fail(err, E_BAD_CONTENT, "blob %s has %zu bytes, the manifest says %lld", text, reply->body.len,
			    (long long)d->size);
	digest_of(d->digest.algorithm, buf_bytes(&reply->body), &got);
	if (!digest_eq(&d->digest, &got))
		return fail(err, E_DIGEST_MISMATCH, "blob %s: the registry sent other bytes", text);
	*ret_body = TAKE(reply->body);
	return OK;
}

int registry_document(struct repository *r, const struct descriptor *d, struct cancel *cancel, struct buf *ret_body,
		      struct err *err)
{
	char text[DIGEST_TEXT_MAX];
	CLEANUP(freep) char *path = request_path(r, "blobs", digest_text(&d->digest, text));
	CLEANUP(reply_free) struct reply reply = { 0 };
	struct request q = { .method = "GET", .path = path };
	struct wanted w = { .blob = &d->digest };
	int code;

	if (!path)
		return fail_nomem(err);
	if (d->size > CONFIG_BYTES_MAX)
		return fail(err, E_LIMIT, "blob %s is longer than %d bytes", text, CONFIG_BYTES_MAX);
	do {
		reply_free(&reply);
		code = request_reply(r, &q, CONFIG_BYTES_MAX, cancel, &reply, err);
		if (code != OK)
			return code;
		if (reply.status != 200)
			return refusal_of(r, &w, &reply, err);
		code = take(d, text, &reply, ret_body, err);
	} while (code != OK && endpoint_refuse(r, reply.from, HOST_PULL));
	return code;
}
