/* Why a registry cannot be reached, in docker's words, which name an old ping. */
#include <stdio.h>

#include "service/registry/search_internal.h"
#include "service/registry/site.h"

static int ping(struct registry *r, const char *scheme, const char *host, struct cancel *cancel, struct err *err)
{
	CLEANUP(freep) char *url = format("%s://%s/v1/_ping", scheme, host);
	CLEANUP(reply_free) struct reply reply = { 0 };
	struct site_question q = { .url = url, .max_body = SEARCH_BYTES_MAX };

	return url ? site_get(r, &q, cancel, &reply, err) : fail_nomem(err);
}

static bool is_unreachable(int code)
{
	return code == E_REGISTRY || code == E_TLS;
}

int search_explain(struct registry *r, const char *host, struct cancel *cancel, int code, struct err *err)
{
	struct err https = ERR_INIT, http = ERR_INIT;

	if (!is_unreachable(code) || !host_table_is_insecure(r->hosts, host) ||
	    !is_unreachable(ping(r, "https", host, cancel, &https)) ||
	    !is_unreachable(ping(r, "http", host, cancel, &http)))
		return code;
	return fail(err, code, "invalid registry endpoint \"http://%s/v1/\". HTTPS attempt: %s. HTTP attempt: %s", host,
		    https.text, http.text);
}
