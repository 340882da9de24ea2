#include "service/registry/foreign.h"

#include <stdio.h>

#include "service/registry/content_range.h"
#include "service/registry/download.h"
#include "service/registry/repository.h"

struct foreign {
	struct repository *repository;
	const struct descriptor *blob;
	struct ingest *ingest;
	const struct fetch_observer *observer;
	struct cancel *cancel;
	struct url registry; /* that names the URLs */
	int64_t fetched;
};

static void tell_restarted(const struct foreign *f)
{
	if (f->observer && f->observer->restarted)
		f->observer->restarted(f->observer->arg);
}

static int tell_progress(const struct foreign *f, struct err *err)
{
	int64_t offset = ingest_offset(f->ingest);
	struct fetch_progress now = { offset, offset, f->fetched };

	return f->observer && f->observer->progress ? f->observer->progress(f->observer->arg, &now, err) : OK;
}

static int start_over(struct foreign *f, struct err *err)
{
	int r = ingest_restart(f->ingest, err);

	if (r == OK)
		tell_restarted(f);
	return r;
}

static int open_url(struct foreign *f, const char *url, struct http_exchange **ret_exchange, struct err *err)
{
	struct download download = { .url = url, .named_by = &f->registry };
	char range[48];

	if (ingest_offset(f->ingest)) {
		snprintf(range, sizeof range, "bytes=%lld-", (long long)ingest_offset(f->ingest));
		download.range = range;
	}
	return download_open(f->repository->registry, &download, f->cancel, ret_exchange, err);
}

/* The body goes on where the ingest stands, or starts it again. */
static int accept(struct foreign *f, struct http_exchange *x, struct err *err)
{
	const struct http_response *response = http_response_of(x);
	int64_t length = response->content_length;

	if (response->status == 206)
		return content_range_continues(http_header_of(x, "Content-Range"), ingest_offset(f->ingest),
					       f->blob->size)
			       ? OK
			       : fail(err, E_BAD_CONTENT, "a range request was answered with other bytes");
	if (response->status != 200)
		return fail(err, E_BAD_CONTENT, "the answer %d has no layer", response->status);
	if (length >= 0 && length != f->blob->size)
		return fail(err, E_BAD_CONTENT, "there are %lld bytes, the manifest says %lld", (long long)length,
			    (long long)f->blob->size);
	return ingest_offset(f->ingest) ? start_over(f, err) : OK;
}

static int copy_body(struct foreign *f, struct http_exchange *x, struct err *err)
{
	struct bytes piece;
	int r;

	while ((r = http_next(x, &piece, f->cancel, err)) == 1) {
		r = ingest_write(f->ingest, piece.data, piece.len, err);
		if (r < 0)
			return r == E_LIMIT ? fail(err, E_BAD_CONTENT, "there are more than %lld bytes",
						   (long long)f->blob->size)
					    : r;
		f->fetched += (int64_t)piece.len;
		r = tell_progress(f, err);
		if (r < 0)
			return r;
	}
	return r;
}

/* Wrong bytes are gone, and whoever reads the file must know. */
static int finish(struct foreign *f, struct err *err)
{
	int r = ingest_finish(f->ingest, err);

	if (r == E_DIGEST_MISMATCH)
		tell_restarted(f);
	return r;
}

static int attempt(struct foreign *f, const char *url, struct err *err)
{
	CLEANUP(http_closep) struct http_exchange *x = NULL;
	int r = open_url(f, url, &x, err);

	if (r == OK)
		r = accept(f, x, err);
	if (r == OK)
		r = copy_body(f, x, err);
	if (r == OK && ingest_offset(f->ingest) < f->blob->size)
		r = fail(err, E_REGISTRY, "unexpected EOF");
	return r == OK ? finish(f, err) : r;
}

/* One URL, through interruptions. Wrong bytes that are not all of one answer get one more
 * chance as a whole. */
static int fetch_url(struct foreign *f, const char *url, struct err *err)
{
	const struct retry_env *env = f->repository->registry->env;
	struct retry retry = { .purpose = RETRY_TRANSFER };

	for (bool again = true;;) {
		int64_t before = ingest_offset(f->ingest), pause;
		int r = attempt(f, url, err);

		if (r == E_DIGEST_MISMATCH && before && again) {
			again = false;
			continue;
		}
		if (r != E_REGISTRY)
			return r;
		if (ingest_offset(f->ingest) > before)
			retry_progress(&retry, ingest_offset(f->ingest) - before);
		pause = retry_pause(&retry, RETRY_BROKEN, 0, env);
		if (pause < 0)
			return r;
		if (f->observer && f->observer->retrying)
			f->observer->retrying(f->observer->arg, err->text);
		if (!env->sleep(env->arg, f->cancel, pause))
			return cancel_check(f->cancel, err);
	}
}

/* Failures of this one that the next may not have. */
static bool may_go_on(int code)
{
	switch (code) {
	case E_INVALID:
	case E_NOT_FOUND:
	case E_DENIED:
	case E_REGISTRY:
	case E_TLS:
	case E_UNKNOWN:
	case E_BAD_CONTENT:
	case E_DIGEST_MISMATCH:
		return true;
	default:
		return false;
	}
}

static int fetch_urls(struct foreign *f, struct err *err)
{
	int r = E_NOT_FOUND;

	for (size_t i = 0; i < f->blob->n_urls; i++) {
		r = fetch_url(f, f->blob->urls[i], err);
		if (r == OK || !may_go_on(r))
			return r;
	}
	return r == E_INVALID ? fail(err, E_BAD_CONTENT, "a URL of the layer is of no use: %.512s", err->text) : r;
}

static int refuse(const struct foreign *f, struct err *err)
{
	char digest[DIGEST_TEXT_MAX];

	return fail(err, E_UNSUPPORTED,
		    "layer %s is foreign: the registry does not have it, and its manifest names other addresses, from "
		    "which nothing is fetched unless the daemon is started with allow-foreign-urls",
		    digest_text(&f->blob->digest, digest));
}

static int from_elsewhere(struct foreign *f, struct err *err)
{
	CLEANUP(host_view_free) struct host_view host = { 0 };
	int r;

	if (!f->repository->registry->allow_foreign_urls)
		return refuse(f, err);
	r = host_contact(repository_registry(f->repository)->host, f->cancel, &host, NULL, err);
	if (r == OK)
		r = url_parse(host.origin.text, &f->registry, err);
	if (r == OK)
		r = fetch_urls(f, err);
	url_free(&f->registry);
	return r;
}

int registry_fetch_layer(struct repository *r, const struct descriptor *d, struct ingest *ingest,
			 const struct fetch_observer *observer, struct cancel *cancel, struct err *err)
{
	struct foreign f = { r, d, ingest, observer, cancel, .fetched = 0 };
	struct err why = ERR_INIT;
	int code = registry_fetch(r, d, ingest, observer, cancel, &why);

	if (code == E_NOT_FOUND && d->n_urls)
		code = from_elsewhere(&f, &why);
	if (code < 0 && err)
		*err = why;
	return code;
}
