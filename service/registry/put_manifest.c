/* Manifests to a registry: byte by byte, children first (the caller's care), tags last. */
#include <strings.h>

#include "service/registry/referrers.h"
#include "service/registry/refusal.h"
#include "service/registry/upload.h"

/* "/v2/NAME/manifests/WHAT", with the tags of many in the query. */
static char *path_of(const struct repository *r, const char *what, const struct manifest_upload *m)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(URL_MAX);
	CLEANUP(freep) char *path = request_path(r, "manifests", what);

	if (!path || !buf_puts(&b, path))
		return NULL;
	for (size_t i = 0; m && i < m->n_tags; i++)
		if (!url_add_query(&b, "tag", m->tags[i]))
			return NULL;
	return buf_take(&b);
}

static int compare(const struct manifest_upload *m, const struct answer *a, struct err *err)
{
	const char *said = http_header_of(a->x, "Docker-Content-Digest");
	char text[DIGEST_TEXT_MAX];
	struct digest d;

	if (!said || digest_parse(said, &d, NULL) != OK || d.algorithm != m->digest->algorithm ||
	    digest_eq(&d, m->digest))
		return OK;
	return fail(err, E_DIGEST_MISMATCH, "%s: the registry stored other bytes: expected %s, got %s", a->shown,
		    digest_text(m->digest, text), said);
}

/* A registry that says nothing of the subject does not list what refers to it. */
static int list_at_subject(struct repository *r, const struct manifest_upload *m, struct cancel *cancel,
			   struct err *err)
{
	struct digest subject = { .algorithm = DIGEST_NONE };
	int code = document_subject(m->body, &subject, err);

	if (code < 0 || !digest_is_set(&subject))
		return code;
	return registry_list_referrer(r, &subject, m->body, m->digest, cancel, err);
}

static int put(struct repository *r, const char *path, const struct manifest_upload *m, struct cancel *cancel,
	       struct answer *ret_answer, struct err *err)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	struct request q = {
		.method = "PUT", .path = path, .capability = HOST_PUSH, .content_type = m->media_type, .body = m->body
	};
	struct wanted w = { .push = true };
	int status, code = path ? request_patient(r, &q, cancel, &a, err) : fail_nomem(err);

	if (code != OK)
		return code;
	status = http_response_of(a.x)->status;
	if (status != 200 && status != 201 && status != 202)
		return refusal_of_answer(r, &w, &a, cancel, err);
	code = compare(m, &a, err);
	if (code != OK)
		return code;
	http_drain(a.x);
	if (!http_header_of(a.x, "OCI-Subject"))
		code = list_at_subject(r, m, cancel, err);
	if (code == OK)
		*ret_answer = TAKE(a);
	return code;
}

static int put_one(struct repository *r, const char *what, const struct manifest_upload *m, struct cancel *cancel,
		   struct err *err)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	CLEANUP(freep) char *path = path_of(r, what, NULL);

	return put(r, path, m, cancel, &a, err);
}

/* Whether the answer names the tag as one that was taken; several may be in one header. */
static bool took(const struct answer *a, const char *tag)
{
	const struct http_response *response = http_response_of(a->x);
	size_t len = strlen(tag);

	for (size_t i = 0; i < response->n_headers; i++) {
		const char *at = response->headers[i].value;

		if (strcasecmp(response->headers[i].name, "OCI-Tag") != 0)
			continue;
		for (at += strspn(at, ", "); *at; at += strspn(at, ", ")) {
			size_t n = strcspn(at, ", ");

			if (n == len && !memcmp(at, tag, n))
				return true;
			at += n;
		}
	}
	return false;
}

/* One request for all tags, then one for each that was not taken. */
static int put_many(struct repository *r, const struct manifest_upload *m, struct cancel *cancel, struct err *err)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	char digest[DIGEST_TEXT_MAX];
	CLEANUP(freep) char *path = path_of(r, digest_text(m->digest, digest), m);
	bool together = path && put(r, path, m, cancel, &a, NULL) == OK;
	int code = cancel_check(cancel, err);

	for (size_t i = 0; code == OK && i < m->n_tags; i++)
		if (!together || !took(&a, m->tags[i]))
			code = put_one(r, m->tags[i], m, cancel, err);
	return code;
}

int registry_put_manifest(struct repository *r, const struct manifest_upload *m, struct cancel *cancel, struct err *err)
{
	char digest[DIGEST_TEXT_MAX];

	if (m->n_tags > 1)
		return put_many(r, m, cancel, err);
	return put_one(r, m->n_tags ? m->tags[0] : digest_text(m->digest, digest), m, cancel, err);
}

int registry_has_manifest(struct repository *r, const char *what, const char *media_type, const struct digest *d,
			  struct cancel *cancel, bool *ret_has, struct err *err)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	CLEANUP(freep) char *path = path_of(r, what, NULL);
	struct request q = { .method = "HEAD",
			     .path = path,
			     .capability = HOST_PUSH,
			     .accept = media_type ? media_type : manifest_accept };
	int code = path ? request_patient(r, &q, cancel, &a, err) : fail_nomem(err);
	struct digest found;
	const char *said;

	if (code != OK)
		return code;
	said = http_header_of(a.x, "Docker-Content-Digest");
	*ret_has = http_response_of(a.x)->status == 200 && said && digest_parse(said, &found, NULL) == OK &&
		   digest_eq(&found, d);
	http_drain(a.x);
	return OK;
}
