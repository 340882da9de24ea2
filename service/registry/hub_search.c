/*
 * Docker Hub: its index, or its newer API, whose shape is not documented; version 4 is
 * asked first, then version 3, which wants a header.
 */
#include <stdio.h>

#include "service/registry/search_internal.h"
#include "service/registry/site.h"

/* "https://index.docker.io/" → "index.docker.io" */
static void say_host(const char *url, struct search_results *out)
{
	const char *scheme = strstr(url, "://"), *from = scheme ? scheme + 3 : url;

	snprintf(out->host, sizeof out->host, "%.*s", (int)strcspn(from, "/"), from);
}

static int ask(struct registry *r, const char *url, const struct http_header *header, struct cancel *cancel,
	       struct reply *ret_reply, struct err *err)
{
	struct site_question question = {
		.url = url, .header = header, .max_body = SEARCH_BYTES_MAX, .show_query = true
	};

	return url ? site_get(r, &question, cancel, ret_reply, err) : fail_nomem(err);
}

static int ask_index(struct registry *r, const struct search_query *q, const char *word, struct cancel *cancel,
		     struct search_results *out, struct err *err)
{
	CLEANUP(freep) char *url = search_index_url(r->search_index, word, q->limit);
	CLEANUP(reply_free) struct reply reply = { 0 };
	int code = ask(r, url, NULL, cancel, &reply, err);

	say_host(r->search_index, out);
	out->source = SEARCH_INDEX;
	return code == OK ? search_take_index(&reply, q->limit, out, err) : code;
}

struct version {
	const char *path;
	const struct http_header *header;
};

static int ask_version(struct registry *r, const struct version *v, const struct search_query *q, const char *word,
		       struct cancel *cancel, struct search_results *out, struct err *err)
{
	CLEANUP(buf_free) struct buf url = BUF_INIT(URL_MAX);
	CLEANUP(reply_free) struct reply reply = { 0 };
	char size[16];
	int code;

	snprintf(size, sizeof size, "%u", q->limit);
	buf_printf(&url, "%s%s", r->hub_url, v->path);
	if (!url_add_query(&url, "query", word) || !url_add_query(&url, "from", "0") ||
	    !url_add_query(&url, "size", size))
		return fail_nomem(err);
	code = ask(r, buf_text(&url), v->header, cancel, &reply, err);
	if (code == OK && reply.status != 200)
		return search_unexpected(&reply, err);
	return code == OK ? search_parse_hub(buf_bytes(&reply.body), q->limit, out, err) : code;
}

/* Whether an older version may do better than the one that failed so. */
static bool worth_another(int code)
{
	return code == E_UNKNOWN || code == E_BAD_CONTENT;
}

static int ask_api(struct registry *r, const struct search_query *q, const char *word, struct cancel *cancel,
		   struct search_results *out, struct err *err)
{
	static const struct http_header v3 = { "Search-Version", "v3" };
	static const struct version versions[] = { { "/api/search/v4", NULL },
						   { "/api/search/v3/catalog/search", &v3 } };
	int code = E_UNKNOWN;

	for (size_t i = 0; i < ARRAY_LEN(versions) && worth_another(code); i++) {
		search_results_free(out);
		say_host(r->hub_url, out);
		out->source = SEARCH_HUB_API;
		code = ask_version(r, &versions[i], q, word, cancel, out, err);
	}
	return code;
}

int hub_search(struct registry *r, const struct search_query *q, const char *word, struct cancel *cancel,
	       struct search_results *out, struct err *err)
{
	static const char library[] = "library/";

	if (!strncmp(word, library, sizeof library - 1))
		word += sizeof library - 1;
	return q->hub_api ? ask_api(r, q, word, cancel, out, err) : ask_index(r, q, word, cancel, out, err);
}
