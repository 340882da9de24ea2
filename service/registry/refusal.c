#include "service/registry/refusal.h"

#include <stdio.h>

#include "service/registry/error_body.h"

/* clang-format off */
static const struct { int status; const char *name; } names[] = {
	{ 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" }, { 206, "Partial Content" },
	{ 400, "Bad Request" }, { 401, "Unauthorized" }, { 402, "Payment Required" }, { 403, "Forbidden" },
	{ 404, "Not Found" }, { 405, "Method Not Allowed" }, { 406, "Not Acceptable" }, { 408, "Request Timeout" },
	{ 409, "Conflict" }, { 410, "Gone" }, { 413, "Request Entity Too Large" },
	{ 416, "Requested Range Not Satisfiable" }, { 418, "I'm a teapot" }, { 429, "Too Many Requests" },
	{ 451, "Unavailable For Legal Reasons" }, { 500, "Internal Server Error" }, { 501, "Not Implemented" },
	{ 502, "Bad Gateway" }, { 503, "Service Unavailable" }, { 504, "Gateway Timeout" },
};
/* clang-format on */

char *status_text(int status, char out[64])
{
	snprintf(out, 64, "%d", status);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].status == status)
			snprintf(out, 64, "%d %s", status, names[i].name);
	return out;
}

/* What the registry said, else what its status says. */
static const char *said(const struct error_body *e, const char *otherwise)
{
	return e->text[0] ? e->text : otherwise;
}

static int not_found(const struct repository *r, const struct wanted *w, const struct error_body *e, struct err *err)
{
	char text[REFERENCE_TEXT_MAX];

	if (!strcmp(e->code, "NAME_UNKNOWN"))
		return fail(err, E_NOT_FOUND, "repository %s not found: %s", r->familiar, e->text);
	if (w->ref)
		return fail(err, E_MANIFEST_UNKNOWN, "manifest for %s not found: %s", reference_familiar(w->ref, text),
			    said(e, "manifest unknown: the registry answered 404 Not Found"));
	return fail(err, E_NOT_FOUND, "blob %s of %s not found: %s", digest_text(w->blob, text), r->familiar,
		    said(e, "blob unknown: the registry answered 404 Not Found"));
}

static int denied(const struct repository *r, const struct error_body *e, int status, struct err *err)
{
	return fail(err, E_DENIED,
		    "pull access denied for %s, repository does not exist or may require 'docker login': %s",
		    r->familiar,
		    said(e, status == 401 ? "unauthorized: authentication required"
					  : "denied: requested access to the resource is denied"));
}

static int limited(const struct error_body *e, int64_t retry_after, struct err *err)
{
	fail(err, E_RATE_LIMITED, "%s", said(e, "toomanyrequests: the registry answered 429 Too Many Requests"));
	if (err && retry_after > 0) {
		size_t used = strlen(err->text);

		err->retry_after_ms = retry_after;
		snprintf(err->text + used, sizeof err->text - used, " (retry after %lld s)",
			 (long long)(retry_after / 1000));
	}
	return E_RATE_LIMITED;
}

static bool has_code(const struct error_body *e, const char *code)
{
	return !strcmp(e->code, code);
}

/* docker shows what the registry says, as it says it. */
static int push_refused(const struct error_body *e, const struct reply *reply, struct err *err)
{
	int code = reply->status >= 500 || reply->status == 408		? E_REGISTRY
		   : reply->status == 413				? E_LIMIT
		   : reply->status == 405 || has_code(e, "UNSUPPORTED") ? E_UNSUPPORTED
		   : reply->status == 404				? E_NOT_FOUND
									: E_UNKNOWN;
	char status[64];

	if (reply->status == 401 || reply->status == 403 || has_code(e, "DENIED") || has_code(e, "UNAUTHORIZED"))
		return fail(err, E_DENIED, "%s",
			    said(e, reply->status == 401 ? "unauthorized: authentication required"
							 : "denied: requested access to the resource is denied"));
	if (e->code[0] && e->text[0] && code != E_REGISTRY)
		return fail(err, code, "%s", e->text);
	fail(err, code, "%s: received unexpected HTTP status: %s%s%s", reply->shown, status_text(reply->status, status),
	     e->text[0] ? ": " : "", e->text);
	if (err)
		err->retry_after_ms = reply->retry_after_ms;
	return code;
}

int refusal_of(const struct repository *r, const struct wanted *w, const struct reply *reply, struct err *err)
{
	struct error_body e;
	char status[64];
	int code = reply->status >= 500 || reply->status == 408 ? E_REGISTRY : E_UNKNOWN;

	error_body_parse(buf_bytes(&reply->body), &e);
	if (reply->status == 429 || has_code(&e, "TOOMANYREQUESTS"))
		return limited(&e, reply->retry_after_ms, err);
	if (w->push)
		return push_refused(&e, reply, err);
	if (reply->status == 401 || reply->status == 403 || has_code(&e, "DENIED") || has_code(&e, "UNAUTHORIZED"))
		return denied(r, &e, reply->status, err);
	if (reply->status == 404)
		return not_found(r, w, &e, err);
	if (has_code(&e, "UNSUPPORTED"))
		code = E_UNSUPPORTED;
	fail(err, code, "%s: received unexpected HTTP status: %s%s%s", reply->shown, status_text(reply->status, status),
	     e.text[0] ? ": " : "", e.text);
	if (err)
		err->retry_after_ms = reply->retry_after_ms;
	return code;
}

int refusal_of_answer(const struct repository *r, const struct wanted *w, struct answer *a, struct cancel *cancel,
		      struct err *err)
{
	CLEANUP(reply_free)
	struct reply reply = { .status = http_response_of(a->x)->status,
			       .retry_after_ms = request_retry_after(r, a->x),
			       .body = BUF_INIT(ERROR_BODY_MAX) };

	http_body(a->x, &reply.body, cancel, NULL);
	reply.shown = TAKE(a->shown);
	return refusal_of(r, w, &reply, err);
}
