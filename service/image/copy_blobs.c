#include "service/image/copy.h"
#include "service/image/parallel.h"
#include "service/registry/blob_reader.h"

enum {
	DONE = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_COMPLETE,
	EXISTS = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_EXISTS,
	MOUNTED = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_MOUNTED,
	PUSHING = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_PUSHING,
	RETRYING = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_RETRYING,
	SKIPPED = IMAGED__V1__PUSH_PROGRESS__STATE__STATE_SKIPPED,
};

/* ---- telling --------------------------------------------------------------- */

static void say(struct copy *c, struct copy_blob *b, int state, int64_t offset, const char *text)
{
	pthread_mutex_lock(&c->mu);
	upload_status_set(&b->status, state, offset, text);
	pthread_mutex_unlock(&c->mu);
	transfer_watch_wake(&c->watch);
}

struct passing {
	struct copy *copy;
	struct copy_blob *blob;
	struct transfer_entry entry;
};

static void on_progress(void *arg, int64_t offset)
{
	struct passing *p = arg;

	transfer_entry_moves(&p->entry, offset);
	say(p->copy, p->blob, PUSHING, offset, "");
}

static void on_retrying(void *arg, const char *why)
{
	struct passing *p = arg;

	transfer_entry_state(&p->entry, IMAGED__V1__TRANSFER__STATE__STATE_RETRYING, why);
	say(p->copy, p->blob, RETRYING, 0, why);
}

/* ---- one blob -------------------------------------------------------------- */

/* Of the bytes that lie within the manifest. */
static int read_embedded(void *arg, int64_t offset, uint8_t *data, size_t size, size_t *ret_len, UNUSED struct err *err)
{
	const struct descriptor *d = arg;
	size_t len = min_size((uint64_t)(d->size - offset), size);

	memcpy(data, d->data.data + offset, len);
	*ret_len = len;
	return OK;
}

static int pass_on(struct copy *c, struct copy_blob *b, struct cancel *cancel, struct err *err)
{
	const struct descriptor *d = b->descriptor;
	CLEANUP(blob_reader_freep) struct blob_reader *reader = NULL;
	char name[REFERENCE_TEXT_MAX];
	struct passing p = { .copy = c, .blob = b };
	struct upload_mount mount = { c->source.path, c->mounting };
	struct upload_observer observer = { on_progress, on_retrying, &p };
	struct upload u = { .digest = &d->digest, .mounts = &mount, .n_mounts = c->mounting != NULL };
	struct upload_result result = { .sent = 0 };
	int64_t sent = 0;
	int r = OK;

	u.observer = &observer;
	u.source = (struct http_source){ d->size, read_embedded, (void *)d };
	if (!d->data.data) {
		r = blob_reader_new(c->from, d, cancel, &reader, err);
		u.source.read = blob_reader_read;
		u.source.arg = reader;
	}
	p.entry = (struct transfer_entry){ .direction = IMAGED__V1__TRANSFER__DIRECTION__DIRECTION_COPY,
					   .digest = d->digest,
					   .total = d->size,
					   .repository = reference_name(&c->destination, name),
					   .origins = 1U << IMAGED__V1__TRANSFER__ORIGIN__ORIGIN_API,
					   .state = IMAGED__V1__TRANSFER__STATE__STATE_TRANSFERRING,
					   .watchers = 1 };
	transfer_list_add(transfers_list(c->service->transfers), &p.entry);
	while (r == OK) {
		r = registry_upload(c->to, &u, cancel, &result, err);
		sent += result.sent;
		if (r != E_DIGEST_MISMATCH || !reader || !blob_reader_has_another(reader))
			break;
		r = OK;
	}
	transfer_list_remove(&p.entry);
	pthread_mutex_lock(&c->mu);
	c->sent_bytes += sent;
	if (r == OK && result.mounted)
		b->status.from = result.mounted->from;
	pthread_mutex_unlock(&c->mu);
	if (r == OK)
		say(c, b, result.mounted ? MOUNTED : DONE, d->size, "");
	return r;
}

/* Foreign layers that have URLs are nowhere that a registry must have them. */
static bool stays_elsewhere(const struct copy_blob *b)
{
	return b->layer && b->descriptor->type.kind == MEDIA_LAYER_FOREIGN && b->descriptor->n_urls;
}

static int copy_blob(void *arg, size_t i, struct cancel *cancel, struct err *err)
{
	struct copy *c = arg;
	struct copy_blob *b = &c->blobs[i];
	bool has = false;
	int r;

	if (stays_elsewhere(b)) {
		say(c, b, SKIPPED, 0, "");
		return OK;
	}
	r = registry_has_blob(c->to, &b->descriptor->digest, cancel, &has, err);
	if (r < 0)
		return r;
	if (!has)
		return pass_on(c, b, cancel, err);
	say(c, b, EXISTS, b->descriptor->size, "");
	return OK;
}

/* ---- all of them ----------------------------------------------------------- */

static int tell_news(void *arg, struct err *err)
{
	struct copy *c = arg;

	for (size_t i = 0; i < c->n_blobs; i++) {
		struct copy_blob *b = &c->blobs[i];
		struct upload_status now;

		pthread_mutex_lock(&c->mu);
		now = b->status;
		pthread_mutex_unlock(&c->mu);
		if (b->layer && upload_is_news(&b->told, &now) && copy_send_layer(c, b, &now, err) < 0)
			return err->code;
	}
	return OK;
}

int copy_blobs(struct copy *c, struct err *err)
{
	struct parallel work = {
		.n = c->n_blobs,
		.threads = COPY_PARALLEL,
		.work = copy_blob,
		.look = tell_news,
		.watch = &c->watch,
		.every_ms = UPLOAD_PROGRESS_MS,
		.arg = c,
	};

	return parallel_run(&work, c->cancel, err);
}
