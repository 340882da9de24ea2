#include "service/registry/download.h"

#include "service/registry/redirect.h"
#include "service/registry/refusal.h"
#include "service/registry/repository.h"

enum { BODY_SHOWN_MAX = 512 };

static int code_of(int status)
{
	if (status == 404 || status == 410)
		return E_NOT_FOUND;
	if (status == 401 || status == 403)
		return E_DENIED;
	return status >= 500 || status == 429 ? E_REGISTRY : E_UNKNOWN;
}

/* The beginning of what the server said, as one line of ASCII. */
static void read_note(struct http_exchange *x, struct cancel *cancel, struct buf *out)
{
	struct bytes piece;

	while (out->len < BODY_SHOWN_MAX && http_next(x, &piece, cancel, NULL) == 1)
		buf_append(out, piece.data,
			   piece.len < BODY_SHOWN_MAX - out->len ? piece.len : BODY_SHOWN_MAX - out->len);
	for (size_t i = 0; i < out->len; i++)
		if (out->data[i] < ' ' || out->data[i] >= 0x7f)
			out->data[i] = out->data[i] < ' ' ? ' ' : '?';
	while (out->len && out->data[out->len - 1] == ' ')
		out->data[--out->len] = 0;
}

static int refuse(struct http_exchange *x, const struct download *d, const char *url, struct cancel *cancel,
		  struct err *err)
{
	CLEANUP(buf_free) struct buf note = BUF_INIT(BODY_SHOWN_MAX);
	CLEANUP(freep) char *shown = url_for_display(url);
	int status = http_response_of(x)->status;
	const char *text;
	char number[64];

	if (d->brief)
		return fail(err, code_of(status), "invalid response status %d", status);
	read_note(x, cancel, &note);
	text = buf_text(&note);
	return fail(err, code_of(status), "failed to GET %.256s with status %s: %s", shown ? shown : "",
		    status_text(status, number), text + strspn(text, " "));
}

/* A name within the reach of who named the first one. */
static enum http_reach reach_of(const struct url *origin, const struct url *at)
{
	enum http_reach reach = redirect_reach(origin, at);

	return reach == HTTP_REACH_ANY ? HTTP_REACH_LOOPBACK : reach;
}

static size_t make_headers(const struct download *d, struct http_header headers[3])
{
	size_t n = 0;

	if (d->range)
		headers[n++] = (struct http_header){ "Range", d->range };
	if (d->etag)
		headers[n++] = (struct http_header){ "If-None-Match", d->etag };
	if (d->last_modified)
		headers[n++] = (struct http_header){ "If-Modified-Since", d->last_modified };
	return n;
}

static int get(struct registry *r, const struct download *d, const struct url *origin, const struct url *at,
	       struct cancel *cancel, struct http_exchange **ret_exchange, struct err *err)
{
	enum http_failure failure = HTTP_FAILED_NOT;
	struct http_header headers[3];
	struct http_request q = {
		.method = "GET",
		.url = at->text,
		.headers = headers,
		.n_headers = make_headers(d, headers),
		.bulk = true,
		.reach = reach_of(origin, at),
		.ret_failure = &failure,
	};
	int code = http_open(r->http, &q, cancel, ret_exchange, err);

	if (failure == HTTP_FAILED_FORBIDDEN) {
		CLEANUP(freep) char *shown = url_for_display(at->text);

		return fail(err, E_DENIED, "Get \"%.256s\": refused: %s", shown ? shown : "",
			    q.reach == HTTP_REACH_PUBLIC ? "a server must not lead to loopback or link-local addresses"
							 : "nothing is fetched from link-local addresses");
	}
	return code;
}

int download_open(struct registry *r, const struct download *d, struct cancel *cancel,
		  struct http_exchange **ret_exchange, struct err *err)
{
	CLEANUP(url_free) struct url origin = { 0 }, at = { 0 };
	int code = url_parse(d->named_by ? d->named_by->text : d->url, &origin, err);

	if (code == OK)
		code = url_parse(d->url, &at, err);
	for (unsigned hops = 0; code == OK; hops++) {
		CLEANUP(http_closep) struct http_exchange *x = NULL;
		struct url to = { 0 };
		int status;

		code = get(r, d, &origin, &at, cancel, &x, err);
		if (code != OK)
			break;
		status = http_response_of(x)->status;
		if ((status >= 200 && status < 300) || (status == 304 && (d->etag || d->last_modified))) {
			*ret_exchange = TAKE(x);
			return OK;
		}
		if (!redirect_is(status))
			return refuse(x, d, at.text, cancel, err);
		code = redirect_next(&at, http_header_of(x, "Location"), hops, &to, err);
		http_drain(x);
		if (code == OK) {
			url_free(&at);
			at = to;
		}
	}
	return code;
}
