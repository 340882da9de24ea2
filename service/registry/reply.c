/* Small answers: body and retries. */
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "service/registry/error_body.h"
#include "service/registry/link.h"
#include "service/registry/request.h"

void reply_free(struct reply *r)
{
	free(r->shown);
	free(r->next);
	free(r->filters);
	free(r->etag);
	buf_free(&r->body);
	*r = (struct reply){ 0 };
}

/* "Application/JSON; charset=utf-8" → "application/json". */
static void copy_type(char out[MEDIA_TYPE_MAX], const char *type)
{
	size_t len = type ? strcspn(type, "; \t,") : 0;

	if (len >= MEDIA_TYPE_MAX)
		len = 0;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)type[i]);
	out[len] = 0;
}

static int copy_next(struct reply *reply, const struct http_response *response, struct err *err)
{
	struct bytes target;

	for (size_t i = 0; i < response->n_headers; i++) {
		const struct http_header *h = &response->headers[i];

		if (strcasecmp(h->name, "Link") != 0 || !link_next(bytes_of(h->value), &target))
			continue;
		reply->next = bytes_to_string(target);
		return reply->next ? OK : fail_nomem(err);
	}
	return OK;
}

/* The URL in `Get "URL"`, for links that are relative. */
static int asked_url(const struct reply *reply, struct url *ret_url, struct err *err)
{
	const char *from = strchr(reply->shown, '"');
	CLEANUP(freep) char *url = from ? strndup(from + 1, strcspn(from + 1, "\"")) : NULL;

	return url ? url_parse(url, ret_url, err) : fail_nomem(err);
}

int reply_next(const struct reply *reply, char **ret_query, struct err *err)
{
	CLEANUP(url_free) struct url at = { 0 };
	int r;

	*ret_query = NULL;
	if (!reply->next)
		return OK;
	r = asked_url(reply, &at, err);
	return r == OK ? link_query(&at, bytes_of(reply->next), ret_query, err) : r;
}

static int take_body(struct answer *a, size_t max_body, struct cancel *cancel, struct reply *reply, struct err *err)
{
	bool good = reply->status == 200;
	int r;

	reply->body = (struct buf)BUF_INIT(good ? max_body : ERROR_BODY_MAX);
	if (good && max_body && reply->content_length > (int64_t)max_body)
		return fail(err, E_LIMIT, "%s: the response is longer than %zu bytes", a->shown, max_body);
	r = http_body(a->x, &reply->body, cancel, err);
	return !good && r == E_LIMIT ? OK : r;
}

static bool copy_header(const struct http_exchange *x, const char *name, char **ret_value)
{
	const char *value = http_header_of(x, name);

	*ret_value = value ? strdup(value) : NULL;
	return !value || *ret_value;
}

static int take(const struct repository *r, struct answer *a, size_t max_body, struct cancel *cancel,
		struct reply *ret_reply, struct err *err)
{
	const struct http_response *response = http_response_of(a->x);
	const char *digest = http_header_of(a->x, "Docker-Content-Digest");
	CLEANUP(reply_free)
	struct reply reply = { .status = response->status, .content_length = response->content_length };
	int code;

	copy_type(reply.content_type, http_header_of(a->x, "Content-Type"));
	if (digest && strlen(digest) < sizeof reply.digest)
		snprintf(reply.digest, sizeof reply.digest, "%s", digest);
	reply.retry_after_ms = request_retry_after(r, a->x);
	if (!copy_header(a->x, "OCI-Filters-Applied", &reply.filters) || !copy_header(a->x, "ETag", &reply.etag))
		return fail_nomem(err);
	reply.used_up = heard_nothing_left(a->x);
	code = copy_next(&reply, response, err);
	if (code == OK)
		code = take_body(a, max_body, cancel, &reply, err);
	if (code != OK)
		return code;
	reply.from = a->from;
	reply.shown = TAKE(a->shown);
	*ret_reply = TAKE(reply);
	return OK;
}

static int once(struct repository *r, const struct request *q, size_t max_body, struct cancel *cancel,
		struct reply *ret_reply, enum retry_class *ret_class, struct err *err)
{
	CLEANUP(answer_free) struct answer a = { 0 };
	int code = request_send(r, q, cancel, &a, ret_class, err);

	if (code != OK)
		return code;
	code = take(r, &a, max_body, cancel, ret_reply, err);
	if (code == E_REGISTRY) {
		*ret_class = RETRY_BROKEN;
		answer_broke_off(r, &a);
	}
	return code;
}

int request_patient(struct repository *r, const struct request *q, struct cancel *cancel, struct answer *ret_answer,
		    struct err *err)
{
	const struct retry_env *env = r->registry->env;
	struct retry retry = { .purpose = RETRY_TRANSFER };

	for (;;) {
		CLEANUP(answer_free) struct answer a = { 0 };
		enum retry_class class = RETRY_NEVER;
		int code = request_send(r, q, cancel, &a, &class, err);
		int64_t after = code == OK ? request_retry_after(r, a.x) : 0;
		int64_t pause = class == RETRY_NEVER ? -1 : retry_pause(&retry, class, after, env);

		if (pause < 0) {
			if (code == OK)
				*ret_answer = TAKE(a);
			return code;
		}
		answer_free(&a);
		if (!env->sleep(env->arg, cancel, pause))
			return cancel_check(cancel, err);
	}
}

int request_reply(struct repository *r, const struct request *q, size_t max_body, struct cancel *cancel,
		  struct reply *ret_reply, struct err *err)
{
	const struct retry_env *env = r->registry->env;
	struct retry retry = { .purpose = RETRY_QUESTION };

	for (;;) {
		CLEANUP(reply_free) struct reply reply = { 0 };
		enum retry_class class = RETRY_NEVER;
		int code = once(r, q, max_body, cancel, &reply, &class, err);
		bool is_end = class == RETRY_THROTTLE && reply.used_up && !reply.retry_after_ms;
		bool worth = class != RETRY_NEVER && !is_end && (code == OK || code == E_REGISTRY || code == E_TLS);
		int64_t pause = worth ? retry_pause(&retry, class, reply.retry_after_ms, env) : -1;

		if (pause < 0) {
			if (code == OK)
				*ret_reply = TAKE(reply);
			return code;
		}
		if (!env->sleep(env->arg, cancel, pause))
			return cancel_check(cancel, err);
	}
}
