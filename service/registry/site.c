#include "service/registry/site.h"

#include <stdio.h>

#include "service/registry/error_body.h"
#include "service/registry/redirect.h"

struct visit {
	struct registry *registry;
	const struct site_question *question;
	struct cancel *cancel;
	struct url origin, at;
	enum http_failure failed;
};

static void visit_end(struct visit *v)
{
	url_free(&v->origin);
	url_free(&v->at);
}

static int open_stop(struct visit *v, struct http_exchange **ret_exchange, struct err *err)
{
	const struct http_header *more = v->question->header;
	struct http_header headers[] = { { "Accept", "application/json" }, more ? *more : (struct http_header){ 0 } };
	char authority[HOST_AUTHORITY_MAX + 8];
	struct http_request q = {
		.method = "GET",
		.url = v->at.text,
		.headers = headers,
		.n_headers = more ? 2 : 1,
		.show_query = v->question->show_query && url_same_origin(&v->origin, &v->at),
		.reach = redirect_reach(&v->origin, &v->at),
		.ret_failure = &v->failed,
	};

	snprintf(authority, sizeof authority, "%s:%u", v->at.host, v->at.port);
	q.insecure = host_table_is_insecure(v->registry->hosts, authority);
	return http_open(v->registry->http, &q, v->cancel, ret_exchange, err);
}

static int follow(struct visit *v, struct http_exchange **ret_exchange, struct err *err)
{
	for (unsigned hops = 0;; hops++) {
		CLEANUP(http_closep) struct http_exchange *x = NULL;
		CLEANUP(url_free) struct url to = { 0 };
		int r = open_stop(v, &x, err);

		if (r != OK)
			return r;
		if (!redirect_is(http_response_of(x)->status)) {
			*ret_exchange = TAKE(x);
			return OK;
		}
		v->failed = HTTP_FAILED_LOCAL;
		r = redirect_next(&v->at, http_header_of(x, "Location"), hops, &to, err);
		if (r != OK)
			return r;
		http_drain(x);
		url_free(&v->at);
		v->at = TAKE(to);
	}
}

static int take(const struct visit *v, struct http_exchange *x, struct reply *ret_reply, struct err *err)
{
	const struct http_response *response = http_response_of(x);
	const struct retry_env *env = v->registry->env;
	bool good = response->status == 200;
	CLEANUP(freep) char *shown = url_for_display(v->at.text);
	CLEANUP(reply_free)
	struct reply reply = {
		.status = response->status,
		.content_length = response->content_length,
		.retry_after_ms = retry_after_ms(http_header_of(x, "Retry-After"), env->wall_s(env->arg)),
		.shown = shown ? format("Get \"%s\"", shown) : NULL,
		.body = BUF_INIT(good ? v->question->max_body : ERROR_BODY_MAX),
	};
	int r;

	if (!reply.shown)
		return fail_nomem(err);
	r = http_body(x, &reply.body, v->cancel, err);
	if (r != OK && (good || r != E_LIMIT))
		return r;
	*ret_reply = TAKE(reply);
	return OK;
}

static int once(struct registry *r, const struct site_question *q, struct cancel *cancel, struct reply *ret_reply,
		enum retry_class *ret_class, struct err *err)
{
	CLEANUP(visit_end) struct visit v = { .registry = r, .question = q, .cancel = cancel };
	CLEANUP(http_closep) struct http_exchange *x = NULL;
	int code = url_parse(q->url, &v.origin, err);

	*ret_class = RETRY_NEVER;
	if (code == OK)
		code = url_parse(q->url, &v.at, err);
	if (code == OK) {
		code = follow(&v, &x, err);
		*ret_class = code == OK ? retry_class_of_status(http_response_of(x)->status)
					: retry_class_of_failure(v.failed);
	}
	if (code != OK)
		return code;
	code = take(&v, x, ret_reply, err);
	if (code == E_REGISTRY)
		*ret_class = RETRY_BROKEN;
	return code;
}

int site_get(struct registry *r, const struct site_question *q, struct cancel *cancel, struct reply *ret_reply,
	     struct err *err)
{
	struct retry retry = { .purpose = RETRY_QUESTION };

	for (;;) {
		CLEANUP(reply_free) struct reply reply = { 0 };
		enum retry_class class;
		int code = once(r, q, cancel, &reply, &class, err);
		bool worth = class != RETRY_NEVER && (code == OK || code == E_REGISTRY || code == E_TLS);
		int64_t pause = worth ? retry_pause(&retry, class, reply.retry_after_ms, r->env) : -1;

		if (pause < 0) {
			if (code == OK)
				*ret_reply = TAKE(reply);
			return code;
		}
		if (!r->env->sleep(r->env->arg, cancel, pause))
			return cancel_check(cancel, err);
	}
}
