/*
 * The blobs of one image, several at a time: what the registry does not have is mounted
 * or sent.
 */
#include <unistd.h>

#include "service/image/parallel.h"
#include "service/image/push.h"
#include "store/image/sources.h"

enum {
	DONE = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_COMPLETE,
	EXISTS = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_EXISTS,
	MOUNTED = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_MOUNTED,
	PUSHING = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_PUSHING,
	RETRYING = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_RETRYING,
	SKIPPED = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_SKIPPED,
};

struct work {
	struct push *push;
	size_t *blobs; /* places in push.blobs, each once */
	size_t n;
};

/* ---- telling --------------------------------------------------------------- */

static void say(struct push *p, struct push_blob *b, int state, int64_t offset, const char *text)
{
	pthread_mutex_lock(&p->mu);
	upload_status_set(&b->status, state, offset, text);
	pthread_mutex_unlock(&p->mu);
	transfer_watch_wake(&p->watch);
}

/* What an upload of one blob needs beside it. */
struct sending {
	struct push *push;
	struct push_blob *blob;
	int fd;
	struct transfer_entry entry;
};

static void on_progress(void *arg, int64_t offset)
{
	struct sending *s = arg;

	transfer_entry_moves(&s->entry, offset);
	say(s->push, s->blob, PUSHING, offset, "");
}

static void on_retrying(void *arg, const char *why)
{
	struct sending *s = arg;

	transfer_entry_state(&s->entry, IMAGED__V1__TRANSFER__STATE__STATE_RETRYING, why);
	say(s->push, s->blob, RETRYING, 0, why);
}

static int read_blob(void *arg, int64_t offset, uint8_t *data, size_t size, size_t *ret_len, struct err *err)
{
	const struct sending *s = arg;
	ssize_t n;

	do
		n = pread(s->fd, data, size, offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_errno(err, "read a blob");
	if (n == 0)
		return fail(err, E_CORRUPT, "a blob of the store is shorter than it was");
	*ret_len = (size_t)n;
	return OK;
}

/* ---- mounts ---------------------------------------------------------------- */

/* Opened once for all blobs; NULL when there are too many, or it cannot be. */
static struct push_source *source_of(struct push *p, const char *path)
{
	struct push_source *found = NULL;

	pthread_mutex_lock(&p->mu);
	for (size_t i = 0; i < p->n_sources && !found; i++)
		if (!strcmp(p->sources[i]->path, path))
			found = p->sources[i];
	if (!found && p->n_sources < ARRAY_LEN(p->sources) && (found = calloc(1, sizeof *found))) {
		snprintf(found->path, sizeof found->path, "%s", path);
		if (repository_open_push(p->service->registry, &p->ref, path, &p->credentials, &found->repository,
					 NULL) == OK)
			p->sources[p->n_sources++] = found;
		else
			free(TAKE(found));
	}
	pthread_mutex_unlock(&p->mu);
	return found;
}

void push_forget_sources(struct push *p)
{
	for (size_t i = 0; i < p->n_sources; i++) {
		repository_unref(p->sources[i]->repository);
		free(p->sources[i]);
	}
	p->n_sources = 0;
}

static size_t find_mounts(struct push *p, const struct push_blob *b, struct upload_mount mounts[PUSH_MOUNTS_MAX])
{
	CLEANUP(arena_free) struct arena a;
	const char *paths[PUSH_MOUNTS_MAX];
	size_t n, found = 0;

	arena_init(&a, REFERENCE_TEXT_MAX * 16);
	n = blob_sources(p->service->store, &b->digest, p->ref.domain, p->ref.path, &a, paths, ARRAY_LEN(paths));
	for (size_t i = 0; i < n; i++) {
		struct push_source *source = source_of(p, paths[i]);

		if (source)
			mounts[found++] = (struct upload_mount){ source->path, source->repository };
	}
	return found;
}

/* ---- one blob -------------------------------------------------------------- */

/* The registry got other bytes than the digest says: ours, or on the way? */
static int explain_wrong_bytes(struct push *p, const struct push_blob *b, struct cancel *cancel, struct err *err)
{
	struct err ours = ERR_INIT;

	if (content_verify(p->service->store, &b->digest, NULL, NULL, cancel, &ours) == OK) {
		err->code = E_REGISTRY;
		return E_REGISTRY;
	}
	*err = ours;
	return ours.code;
}

static int send_blob(struct push *p, struct push_blob *b, struct cancel *cancel, struct err *err)
{
	CLEANUP(closep) int fd = -1;
	char name[REFERENCE_TEXT_MAX];
	struct sending s = { .push = p, .blob = b };
	struct upload_mount mounts[PUSH_MOUNTS_MAX];
	struct upload_observer observer = { on_progress, on_retrying, &s };
	struct upload u = { .digest = &b->digest, .mounts = mounts, .observer = &observer };
	struct upload_result result;
	int64_t size = 0;
	int r = content_open(p->service->store, &b->digest, &fd, &size, err);

	if (r != OK)
		return r;
	s.fd = fd;
	u.source = (struct http_source){ .length = size, .read = read_blob, .arg = &s };
	u.n_mounts = find_mounts(p, b, mounts);
	s.entry = (struct transfer_entry){ .direction = IMAGED__V1__TRANSFER__DIRECTION__DIRECTION_PUSH,
					   .digest = b->digest,
					   .total = size,
					   .repository = reference_name(&p->ref, name),
					   .origins = 1U << IMAGED__V1__TRANSFER__ORIGIN__ORIGIN_API,
					   .state = IMAGED__V1__TRANSFER__STATE__STATE_TRANSFERRING,
					   .watchers = 1 };
	transfer_list_add(transfers_list(p->service->transfers), &s.entry);
	r = registry_upload(p->repository, &u, cancel, &result, err);
	transfer_list_remove(&s.entry);
	if (r == E_CORRUPT)
		r = explain_wrong_bytes(p, b, cancel, err);
	pthread_mutex_lock(&p->mu);
	p->sent_bytes += result.sent;
	if (r == OK && result.mounted)
		b->status.from = result.mounted->from;
	pthread_mutex_unlock(&p->mu);
	if (r == OK)
		say(p, b, result.mounted ? MOUNTED : DONE, b->size, "");
	return r;
}

static int push_blob(void *arg, size_t i, struct cancel *cancel, struct err *err)
{
	const struct work *w = arg;
	struct push *p = w->push;
	struct push_blob *b = &p->blobs[w->blobs[i]];
	bool has = b->done;
	int r = OK;

	if (b->foreign) {
		say(p, b, SKIPPED, 0, "");
		return OK;
	}
	if (!has)
		r = registry_has_blob(p->repository, &b->digest, cancel, &has, err);
	if (r == OK && has)
		say(p, b, EXISTS, b->size, "");
	else if (r == OK)
		r = send_blob(p, b, cancel, err);
	if (r == OK)
		b->done = true;
	return r;
}

/* ---- all of them ----------------------------------------------------------- */

static int tell_news(void *arg, struct err *err)
{
	const struct work *w = arg;
	struct push *p = w->push;

	for (size_t i = 0; i < w->n; i++) {
		struct push_blob *b = &p->blobs[w->blobs[i]];
		struct upload_status now;

		pthread_mutex_lock(&p->mu);
		now = b->status;
		pthread_mutex_unlock(&p->mu);
		if (b->layer && upload_is_news(&b->told, &now) && push_send_layer(p, b, &now, err) < 0)
			return err->code;
	}
	return OK;
}

static bool has_place(const struct work *w, size_t place)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->blobs[i] == place)
			return true;
	return false;
}

/* The largest layers first would fill the line best; but order is what users know. */
static int collect(struct work *w, const struct push_image *image, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < image->n_documents; i++)
		n += image->documents[i].n_blobs;
	w->blobs = calloc(n + 1, sizeof *w->blobs);
	if (!w->blobs)
		return fail_nomem(err);
	for (size_t i = 0; i < image->n_documents; i++)
		for (size_t j = image->documents[i].n_blobs; j-- > 0;)
			if (!has_place(w, image->documents[i].blobs[j]))
				w->blobs[w->n++] = image->documents[i].blobs[j];
	return OK;
}

int push_blobs(struct push *p, const struct push_image *image, struct err *err)
{
	struct work w = { .push = p };
	struct parallel plan = {
		.threads = PUSH_PARALLEL,
		.work = push_blob,
		.look = tell_news,
		.watch = &p->watch,
		.every_ms = UPLOAD_PROGRESS_MS,
		.arg = &w,
	};
	int r = collect(&w, image, err);

	plan.n = w.n;
	if (r == OK)
		r = parallel_run(&plan, p->cancel, err);
	free(w.blobs);
	return r;
}
