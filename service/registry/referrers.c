#include "service/registry/referrers.h"

#include <stdio.h>
#include <strings.h>

#include "service/registry/referrers_tag.h"
#include "service/registry/refusal.h"

static const char accept_index[] = REFERRERS_MEDIA_TYPE;

struct listing {
	struct repository *repository;
	const struct digest *subject;
	const char *artifact_type;
	struct cancel *cancel;
	struct referrers list;
	size_t bytes; /* of all pages */
};

static int take_page(struct listing *l, const struct reply *reply, bool filtered, struct err *err)
{
	int code;

	l->bytes += reply->body.len;
	if (l->bytes > MANIFEST_BYTES_MAX)
		return fail(err, E_LIMIT, "%s: the list of referrers is longer than %d bytes", reply->shown,
			    MANIFEST_BYTES_MAX);
	code = referrers_add(&l->list, buf_bytes(&reply->body), filtered ? NULL : l->artifact_type, err);
	return code < 0 ? err_wrap(err, "%s", reply->shown) : OK;
}

/* ---- the API --------------------------------------------------------------- */

/* Registries without it answer so, or with a page for people. */
static bool has_no_api(const struct reply *reply)
{
	switch (reply->status) {
	case 400:
	case 404:
	case 405:
	case 406:
	case 501:
		return true;
	case 200:
		return strcmp(reply->content_type, accept_index) != 0 &&
		       strcmp(reply->content_type, "application/json") != 0 && reply->content_type[0] != 0;
	default:
		return false;
	}
}

static char *list_path(const struct listing *l)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(URL_MAX);
	char digest[DIGEST_TEXT_MAX];
	CLEANUP(freep)
	char *start = request_path(l->repository, "referrers", digest_text(l->subject, digest));

	if (!start || !buf_puts(&path, start))
		return NULL;
	if (l->artifact_type && !url_add_query(&path, "artifactType", l->artifact_type))
		return NULL;
	return buf_take(&path);
}

static bool is_filtered(const struct reply *reply)
{
	for (const char *at = reply->filters; at && *at;) {
		size_t len = strcspn(at, ", \t");

		if (len == sizeof "artifactType" - 1 && !strncasecmp(at, "artifactType", len))
			return true;
		at += len;
		at += strspn(at, ", \t");
	}
	return false;
}

/* NULL in *ret_path: this was the last page. */
static int next_page(const struct reply *reply, const char *path, char **ret_path, struct err *err)
{
	CLEANUP(freep) char *query = NULL;
	int code = reply_next(reply, &query, err);

	*ret_path = NULL;
	if (code < 0)
		return err_wrap(err, "%s", reply->shown);
	if (!query)
		return OK;
	*ret_path = format("%.*s?%s", (int)strcspn(path, "?"), path, query);
	return *ret_path ? OK : fail_nomem(err);
}

/* One page; *path becomes that of the next, NULL after the last. */
static int read_page(struct listing *l, char **path, bool *ret_no_api, struct err *err)
{
	CLEANUP(reply_free) struct reply reply = { 0 };
	struct request q = { .method = "GET", .path = *path, .capability = HOST_REFERRERS, .accept = accept_index };
	struct wanted w = { .blob = l->subject };
	char *next = NULL;
	int code = request_reply(l->repository, &q, MANIFEST_BYTES_MAX, l->cancel, &reply, err);

	if (code < 0)
		return code;
	*ret_no_api = has_no_api(&reply);
	if (*ret_no_api)
		return OK;
	if (reply.status != 200)
		return refusal_of(l->repository, &w, &reply, err);
	code = take_page(l, &reply, is_filtered(&reply), err);
	if (code == OK)
		code = next_page(&reply, *path, &next, err);
	free(*path);
	*path = next;
	return code;
}

static int read_pages(struct listing *l, bool *ret_no_api, struct err *err)
{
	CLEANUP(freep) char *path = list_path(l);

	if (!path)
		return fail_nomem(err);
	for (int pages = 0; path; pages++) {
		bool no_api = false;

		if (pages == REFERRERS_PAGES_MAX)
			return fail(err, E_LIMIT, "the list of referrers has more than %d pages", REFERRERS_PAGES_MAX);
		if (read_page(l, &path, &no_api, err) < 0)
			return err->code;
		if (no_api && pages)
			return fail(err, E_REGISTRY, "the list of referrers breaks off after %d pages", pages);
		*ret_no_api = no_api;
		if (no_api)
			return OK;
	}
	return OK;
}

/* ---- the tag --------------------------------------------------------------- */

static int read_tag(struct listing *l, struct err *err)
{
	CLEANUP(reply_free) struct reply reply = { 0 };
	int code = referrers_read_tag(l->repository, l->subject, HOST_REFERRERS, l->cancel, &reply, err);

	return code < 0 || !reply.body.len ? code : take_page(l, &reply, false, err);
}

int registry_referrers(struct repository *r, const struct digest *subject, const char *artifact_type,
		       struct cancel *cancel, struct referrers *ret_list, enum referrers_source *ret_source,
		       struct err *err)
{
	struct listing l = { r, subject, artifact_type && *artifact_type ? artifact_type : NULL, cancel, .bytes = 0 };
	struct err why = ERR_INIT;
	bool no_api = false;
	int code = read_pages(&l, &no_api, &why);

	if (code == OK && no_api)
		code = read_tag(&l, &why);
	if (code < 0) {
		referrers_free(&l.list);
		if (err)
			*err = why;
		return code;
	}
	*ret_source = no_api ? REFERRERS_TAG : REFERRERS_API;
	*ret_list = l.list;
	return OK;
}
