/* Manifests: by HEAD where the registry tells enough, else by GET. */
#include <stdio.h>

#include "service/registry/refusal.h"

/* All types that we can use, in one line (some servers read only the first); then
 * anything, so that what we cannot use is named in a message. */
const char manifest_accept[] = "application/vnd.oci.image.index.v1+json, "
			       "application/vnd.oci.image.manifest.v1+json, "
			       "application/vnd.docker.distribution.manifest.list.v2+json, "
			       "application/vnd.docker.distribution.manifest.v2+json, "
			       "*/*;q=0.1";

void remote_manifest_free(struct remote_manifest *m)
{
	buf_free(&m->body);
	*m = (struct remote_manifest){ 0 };
}

static char *path_of(const struct repository *r, const struct reference *ref)
{
	char digest[DIGEST_TEXT_MAX];
	const char *what = digest_is_set(&ref->digest) ? digest_text(&ref->digest, digest) : ref->tag;

	return request_path(r, "manifests", *what ? what : "latest");
}

/* A digest can be compared; who says what a tag is, is believed. */
static enum host_capability capability_for(const struct reference *ref)
{
	return digest_is_set(&ref->digest) ? HOST_PULL : HOST_RESOLVE;
}

/* Servers that know nothing better say one of these; the document then tells. */
static bool says_nothing(const char *type)
{
	static const char *const generic[] = { "application/json",    "text/plain", "application/octet-stream",
					       "binary/octet-stream", "text/html",  "*/*" };

	for (size_t i = 0; i < ARRAY_LEN(generic); i++)
		if (!strcmp(type, generic[i]))
			return true;
	return false;
}

static void copy_type(struct remote_manifest *m, const struct reply *reply)
{
	if (!says_nothing(reply->content_type))
		snprintf(m->media_type, sizeof m->media_type, "%s", reply->content_type);
}

static int compare(const struct reference *ref, const struct remote_manifest *m, struct err *err)
{
	char wanted[DIGEST_TEXT_MAX], got[DIGEST_TEXT_MAX], text[REFERENCE_TEXT_MAX];

	if (digest_eq(&ref->digest, &m->digest))
		return OK;
	return fail(err, E_DIGEST_MISMATCH, "manifest for %s: the registry sent other bytes: expected %s, got %s",
		    reference_familiar(ref, text), digest_text(&ref->digest, wanted), digest_text(&m->digest, got));
}

static int take_manifest(const struct reference *ref, struct reply *reply, struct remote_manifest *ret_manifest,
			 struct err *err)
{
	CLEANUP(remote_manifest_free) struct remote_manifest m = { 0 };
	bool by_digest = digest_is_set(&ref->digest);
	enum digest_algorithm algorithm = by_digest ? ref->digest.algorithm : DIGEST_SHA256;

	copy_type(&m, reply);
	m.size = (int64_t)reply->body.len;
	digest_of(algorithm, buf_bytes(&reply->body), &m.digest);
	m.body = TAKE(reply->body);
	if (by_digest && compare(ref, &m, err) != OK)
		return E_DIGEST_MISMATCH;
	*ret_manifest = TAKE(m);
	return OK;
}

int registry_manifest(struct repository *r, const struct reference *ref, struct cancel *cancel,
		      struct remote_manifest *ret_manifest, struct err *err)
{
	CLEANUP(reply_free) struct reply reply = { 0 };
	CLEANUP(freep) char *path = path_of(r, ref);
	struct request q = {
		.method = "GET", .path = path, .accept = manifest_accept, .capability = capability_for(ref)
	};
	struct wanted w = { .ref = ref };
	int code;

	if (!path)
		return fail_nomem(err);
	do {
		reply_free(&reply);
		code = request_reply(r, &q, MANIFEST_BYTES_MAX, cancel, &reply, err);
		if (code != OK)
			return code;
		if (reply.status != 200)
			return refusal_of(r, &w, &reply, err);
		code = take_manifest(ref, &reply, ret_manifest, err);
	} while (code == E_DIGEST_MISMATCH && endpoint_refuse(r, reply.from, q.capability));
	return code;
}

/* A HEAD counts only when it tells all: what kind, how long, and a digest that is
 * the one that was asked for. */
static bool tells_all(const struct reference *ref, const struct reply *reply, struct remote_manifest *ret_manifest)
{
	struct remote_manifest m = { .size = reply->content_length };

	if (reply->status != 200 || m.size <= 0 || digest_parse(reply->digest, &m.digest, NULL) != OK)
		return false;
	if (digest_is_set(&ref->digest) && !digest_eq(&ref->digest, &m.digest))
		return false;
	copy_type(&m, reply);
	if (!m.media_type[0])
		return false;
	*ret_manifest = m;
	return true;
}

/* A HEAD that failed has no body to tell why: the GET then says so. */
int registry_resolve(struct repository *r, const struct reference *ref, struct cancel *cancel,
		     struct remote_manifest *ret_manifest, struct err *err)
{
	CLEANUP(reply_free) struct reply reply = { 0 };
	CLEANUP(freep) char *path = path_of(r, ref);
	struct request q = {
		.method = "HEAD", .path = path, .accept = manifest_accept, .capability = capability_for(ref)
	};
	int code;

	if (!path)
		return fail_nomem(err);
	code = request_reply(r, &q, 0, cancel, &reply, err);
	if (code != OK)
		return code;
	if (tells_all(ref, &reply, ret_manifest))
		return OK;
	return registry_manifest(r, ref, cancel, ret_manifest, err);
}
