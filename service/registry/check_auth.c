/* Do these credentials open the door? (docker login) */
#include <stdio.h>

#include "service/registry/error_body.h"
#include "service/registry/refusal.h"

static int judge(const struct reply *reply, struct err *err)
{
	char status[64];
	struct error_body e;
	const char *url = strchr(reply->shown, '"');

	if (reply->status == 200)
		return OK;
	if (reply->status == 401 || reply->status == 403)
		return fail(err, E_UNAUTHENTICATED, "login attempt to %.*s failed with status: %s",
			    (int)strcspn(url + 1, "\""), url + 1, status_text(reply->status, status));
	error_body_parse(buf_bytes(&reply->body), &e);
	return fail(err, reply->status == 429 ? E_RATE_LIMITED : E_REGISTRY,
		    "%s: received unexpected HTTP status: %s%s%s", reply->shown, status_text(reply->status, status),
		    e.text[0] ? ": " : "", e.text);
}

static char *take_refresh(struct repository *p)
{
	struct auth *a = &repository_registry(p)->auth;
	char *token;

	pthread_mutex_lock(&a->mu);
	token = TAKE(a->refresh.text);
	pthread_mutex_unlock(&a->mu);
	return token;
}

int registry_check_auth(struct registry *r, const char *server, const struct credentials *credentials,
			char **ret_identity_token, struct cancel *cancel, struct err *err)
{
	CLEANUP(repository_unrefp) struct repository *p = NULL;
	CLEANUP(reply_free) struct reply reply = { 0 };
	struct request q = { .method = "GET", .path = "/v2/" };
	int code;

	if (!*server)
		server = "docker.io";
	code = repository_new(r, server, "", server, "", credentials, &p, err);
	if (code != OK)
		return code;
	repository_registry(p)->auth.login = true;
	code = request_reply(p, &q, ERROR_BODY_MAX, cancel, &reply, err);
	if (code == OK)
		code = judge(&reply, err);
	if (code != OK)
		return code;
	if (ret_identity_token)
		*ret_identity_token = take_refresh(p);
	return OK;
}
