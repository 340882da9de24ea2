#include "service/registry/search.h"

#include <stdio.h>

#include "service/registry/catalog.h"
#include "service/registry/refusal.h"
#include "service/registry/search_internal.h"

/* ---- the term ---------------------------------------------------------------- */

struct term {
	char host[HOST_AUTHORITY_MAX]; /* "": Docker Hub */
	const char *word;
};

/* docker's rule: it looks like a host, which no user of Docker Hub can. */
static bool names_host(const char *text, size_t len)
{
	return memchr(text, '.', len) || memchr(text, ':', len) || (len == 9 && !memcmp(text, "localhost", 9));
}

static bool is_hub(const char *host)
{
	return !strcmp(host, "docker.io") || !strcmp(host, "index.docker.io");
}

static int parse_term(const char *text, struct term *ret_term, struct err *err)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : 0;

	*ret_term = (struct term){ .word = text };
	if (strlen(text) > SEARCH_TERM_MAX)
		return fail(err, E_INVALID, "the term is longer than %d bytes", SEARCH_TERM_MAX);
	if (strstr(text, "://"))
		return fail(err, E_INVALID_REFERENCE,
			    "invalid repository name: repository name (%s) should not have a scheme", text);
	if (!slash || !names_host(text, len))
		return OK;
	if (len >= HOST_AUTHORITY_MAX)
		return fail(err, E_INVALID_REFERENCE, "invalid registry host: longer than %d bytes",
			    HOST_AUTHORITY_MAX);
	memcpy(ret_term->host, text, len);
	ret_term->word = slash + 1;
	if (is_hub(ret_term->host))
		ret_term->host[0] = 0;
	return OK;
}

/* ---- the index --------------------------------------------------------------- */

char *search_index_url(const char *base, const char *word, unsigned limit)
{
	CLEANUP(buf_free) struct buf url = BUF_INIT(URL_MAX);
	char n[16];

	snprintf(n, sizeof n, "%u", limit);
	buf_printf(&url, "%s/v1/search", base);
	url_add_query(&url, "q", word);
	url_add_query(&url, "n", n);
	return buf_take(&url);
}

int search_unexpected(const struct reply *reply, struct err *err)
{
	int code = reply->status == 429 ? E_RATE_LIMITED : reply->status >= 500 ? E_REGISTRY : E_UNKNOWN;

	fail(err, code, "Unexpected status code %d", reply->status);
	if (err)
		err->retry_after_ms = reply->retry_after_ms;
	return code;
}

int search_take_index(const struct reply *reply, unsigned limit, struct search_results *out, struct err *err)
{
	if (reply->status != 200)
		return search_unexpected(reply, err);
	return search_parse_index(buf_bytes(&reply->body), limit, out, err);
}

/* ---- another registry -------------------------------------------------------- */

static int open_scope(struct registry *r, const char *host, const char *scope, const struct credentials *credentials,
		      struct repository **ret_repository, struct err *err)
{
	return repository_new(r, host, "", host, scope, credentials, ret_repository, err);
}

/* *ret_none: the registry has no index there. */
static int ask_index(struct registry *r, const struct search_query *q, const struct term *t, struct cancel *cancel,
		     struct search_results *out, bool *ret_none, struct err *err)
{
	CLEANUP(repository_unrefp) struct repository *index = NULL;
	CLEANUP(freep) char *path = search_index_url("", t->word, q->limit);
	CLEANUP(reply_free) struct reply reply = { 0 };
	struct request request = { .method = "GET", .path = path, .accept = "application/json" };
	int code = path ? open_scope(r, t->host, "", q->credentials, &index, err) : fail_nomem(err);

	*ret_none = false;
	/* An index is often open to all, and may not know the registry's tokens. */
	if (code == OK)
		repository_registry(index)->auth.patient = true;
	if (code == OK)
		code = request_reply(index, &request, SEARCH_BYTES_MAX, cancel, &reply, err);
	if (code != OK)
		return search_explain(r, t->host, cancel, code, err);
	repository_warnings(index, out->warning, sizeof out->warning);
	code = search_take_index(&reply, q->limit, out, err);
	/* Front ends answer what they do not know with a page. */
	*ret_none = code == E_UNKNOWN || code == E_BAD_CONTENT;
	return code;
}

/* The best ones, in the registry's order among equals. */
static int take_best(const struct names *names, const char *word, unsigned limit, struct search_results *out,
		     struct err *err)
{
	for (enum catalog_rank rank = CATALOG_IS; rank <= CATALOG_HOLDS; rank++)
		for (size_t i = 0; i < names->n && out->n < limit; i++) {
			struct search_result result = { .name = names->items[i], .description = (char *)"" };

			if (catalog_rank(names->items[i], word) == rank && search_add(out, &result, err) != OK)
				return E_NO_MEMORY;
		}
	return OK;
}

static void add_warning(struct search_results *out, const char *text)
{
	size_t used = strlen(out->warning);

	snprintf(out->warning + used, sizeof out->warning - used, "%s%s", used ? "; " : "", text);
}

static int ask_catalog(struct registry *r, const struct search_query *q, const struct term *t, struct cancel *cancel,
		       struct search_results *out, int *ret_status, struct err *err)
{
	CLEANUP(repository_unrefp) struct repository *catalog = NULL;
	CLEANUP(names_free) struct names names = { 0 };
	bool whole = true;
	int code = open_scope(r, t->host, SCOPE_CATALOG, q->credentials, &catalog, err);

	if (code == OK)
		code = registry_catalog(catalog, t->word, cancel, &names, &whole, ret_status, err);
	if (code != OK)
		return code;
	out->source = SEARCH_CATALOG;
	repository_warnings(catalog, out->warning, WARNINGS_MAX);
	if (!whole)
		add_warning(out, "the catalog is longer than what was looked at: there may be more");
	return take_best(&names, t->word, q->limit, out, err);
}

/* Neither an index nor a catalog: what the index said, and why there is no catalog where
 * that is worth telling. */
static int neither(const struct err *index, int code, int status, const struct err *catalog, struct err *err)
{
	char text[64];

	if (code != OK)
		return fail(err, code, "%s; %s", index->text, catalog->text);
	if (status == 401 || status == 403)
		return fail(err, E_DENIED, "%s; the catalog: %s", index->text, status_text(status, text));
	return fail(err, index->code, "%s", index->text);
}

static int search_registry(struct registry *r, const struct search_query *q, const struct term *t,
			   struct cancel *cancel, struct search_results *out, struct err *err)
{
	struct err index = ERR_INIT, catalog = ERR_INIT;
	int status = 0, code;
	bool none;

	snprintf(out->host, sizeof out->host, "%s", t->host);
	out->source = SEARCH_INDEX;
	code = ask_index(r, q, t, cancel, out, &none, &index);
	if (code == OK)
		return OK;
	if (!none || q->index_only) {
		if (err)
			*err = index; /* with what it says about waiting */
		return code;
	}
	code = ask_catalog(r, q, t, cancel, out, &status, &catalog);
	return code == OK && status == 200 ? OK : neither(&index, code, status, &catalog, err);
}

int registry_search(struct registry *r, const struct search_query *q, struct cancel *cancel,
		    struct search_results *ret_results, struct err *err)
{
	CLEANUP(search_results_free) struct search_results out = { 0 };
	struct term t;
	int code = parse_term(q->term, &t, err);

	if (code == OK)
		code = t.host[0] ? search_registry(r, q, &t, cancel, &out, err)
				 : hub_search(r, q, t.word, cancel, &out, err);
	if (code == OK)
		*ret_results = TAKE(out);
	return code;
}
