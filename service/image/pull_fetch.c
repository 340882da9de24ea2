#include <assert.h>

#include "proto/runtime/clock.h"
#include "service/image/layer_file.h"
#include "service/image/pull.h"

/* ---- plan ----------------------------------------------------------------- */

static struct pull_blob *find_blob(struct pull *p, const struct digest *d)
{
	for (size_t i = 0; i < p->n_blobs; i++)
		if (digest_eq(&p->blobs[i].descriptor.digest, d))
			return &p->blobs[i];
	return NULL;
}

/* What the manifest embeds need not be fetched. */
static struct pull_blob *add_blob(struct pull *p, enum pull_blob_kind kind, const struct descriptor *d)
{
	struct pull_blob *b = &p->blobs[p->n_blobs++];

	*b = (struct pull_blob){ .kind = kind, .descriptor = *d, .data = d->data };
	return b;
}

static void add_document(struct pull *p, const struct digest *d, const char *media_type, const struct buf *body)
{
	struct descriptor descriptor = {
		.media_type = (char *)media_type,
		.digest = *d,
		.size = (int64_t)body->len,
	};

	add_blob(p, BLOB_DOCUMENT, &descriptor)->data = buf_bytes(body);
}

static int add_config(struct pull *p, struct err *err)
{
	const struct descriptor *config = &p->manifest.config;

	if (find_blob(p, &config->digest))
		return fail(err, E_BAD_CONTENT, "the configuration is also listed as a manifest");
	if (config->size > CONFIG_BYTES_MAX) /* before a byte of it is fetched */
		return fail(err, E_LIMIT, "the image configuration has %lld bytes; at most %d are read",
			    (long long)config->size, CONFIG_BYTES_MAX);
	add_blob(p, BLOB_CONFIG, config);
	return descriptor_check_data(config, err);
}

static int add_layers(struct pull *p, struct err *err)
{
	for (size_t i = 0; i < p->manifest.n_layers; i++) {
		const struct descriptor *layer = &p->manifest.layers[i];
		struct pull_blob *b = find_blob(p, &layer->digest);

		if (descriptor_check_data(layer, err) < 0)
			return err->code;
		if (!b)
			b = add_blob(p, BLOB_LAYER, layer);
		else if (b->kind != BLOB_LAYER || b->descriptor.size != layer->size)
			return fail(err, E_BAD_CONTENT, "layer %zu is also listed as something else", i);
		p->layer_blob[i] = (size_t)(b - p->blobs);
	}
	return OK;
}

static int plan(struct pull *p, struct err *err)
{
	enum { DOCUMENTS_AND_CONFIG = 3 };

	p->blobs = calloc(p->manifest.n_layers + DOCUMENTS_AND_CONFIG, sizeof *p->blobs);
	p->layer_blob = calloc(p->manifest.n_layers + 1, sizeof *p->layer_blob);
	if (!p->blobs || !p->layer_blob)
		return fail_nomem(err);
	if (!digest_eq(&p->root, &p->manifest_digest))
		add_document(p, &p->root, p->root_media_type, &p->root_body);
	add_document(p, &p->manifest_digest, p->manifest_media_type, &p->manifest_body);
	return add_config(p, err) < 0 ? err->code : add_layers(p, err);
}

/* ---- what is here --------------------------------------------------------- */

static int take_lease(struct pull *p, struct err *err)
{
	CLEANUP(freep) char *purpose = NULL;
	CLEANUP(freep) struct digest *all = NULL;
	char name[REFERENCE_TEXT_MAX];

	assert(p->n_blobs); /* its manifest at least */
	purpose = format("pull %s", reference_text(&p->ref, name));
	all = calloc(p->n_blobs, sizeof *all);
	if (!all || !purpose)
		return fail_nomem(err);
	for (size_t i = 0; i < p->n_blobs; i++)
		all[i] = p->blobs[i].descriptor.digest;
	if (lease_create(p->service->store, purpose, all, p->n_blobs, &p->lease, err) < 0)
		return err->code;
	p->leased = true;
	return OK;
}

/* Here, as far as can be told without reading it. What was damaged is not, and goes
 * through a transfer as if it was missing; so pulling heals. */
static bool is_here(struct pull *p, const struct pull_blob *b)
{
	struct store *s = p->service->store;
	int64_t size = 0;

	if (!content_claim(s, &b->descriptor.digest, &size) || size != b->descriptor.size)
		return false;
	return b->kind == BLOB_LAYER || content_verify(s, &b->descriptor.digest, NULL, NULL, p->cancel, NULL) == OK;
}

static int add_bytes(int64_t *sum, int64_t size, struct err *err)
{
	if (__builtin_add_overflow(*sum, size, sum))
		return fail(err, E_BAD_CONTENT, "the sizes of the blobs add up to more than any disk holds");
	return OK;
}

/* What an interrupted pull has left takes no more room. */
static int64_t still_to_come(const struct pull *p, const struct descriptor *d)
{
	int64_t taken = ingest_taken(p->service->store, &d->digest);

	return taken < d->size ? d->size - taken : 0;
}

static int add_missing(struct pull *p, const struct pull_blob *b, struct err *err)
{
	const struct descriptor *d = &b->descriptor;
	int64_t least = layer_file_least(d->type.compression, d->size);

	if (add_bytes(&p->missing_bytes, still_to_come(p, d), err) < 0)
		return err->code;
	return b->kind == BLOB_LAYER && !p->no_layers ? add_bytes(&p->image_bytes, least, err) : OK;
}

static bool needs_no_more(const struct pull *p, const struct layer_facts *facts)
{
	return p->no_layers || layer_file_is_made(p->service->store, facts);
}

/* A sparse file is larger than what the tar holds of it, and a tar than its files. */
static int64_t least_of(const struct layer_facts *facts)
{
	return facts->files_size < facts->tar_size ? facts->files_size : facts->tar_size;
}

/* A layer that is here but was never verified, or has no image, goes through a transfer all the same. */
static int claim_layer(struct pull *p, struct pull_blob *b, struct err *err)
{
	int r = layer_facts_get(p->service->store, &b->descriptor.digest, &b->facts, err);

	if (r != OK)
		return r == E_NOT_FOUND ? OK : r;
	b->here = needs_no_more(p, &b->facts);
	return b->here ? OK : add_bytes(&p->image_bytes, least_of(&b->facts), err);
}

static int claim(struct pull *p, struct pull_blob *b, struct err *err)
{
	if (!is_here(p, b))
		return add_missing(p, b, err);
	if (b->kind == BLOB_LAYER)
		return claim_layer(p, b, err);
	b->here = true;
	return OK;
}

/* For all of it, before any of it is fetched. */
static int reserve(struct pull *p, struct err *err)
{
	int64_t bytes = p->missing_bytes;

	if (add_bytes(&bytes, p->image_bytes, err) < 0)
		return err->code;
	return bytes ? store_reserve(p->service->store, bytes, err) : OK;
}

static int tell_plan(struct pull *p, struct err *err)
{
	if (pull_send_resolved(p, err) < 0)
		return err->code;
	for (size_t i = 0; i < p->n_blobs; i++) {
		struct pull_blob *b = &p->blobs[i];
		struct transfer_status status = { .state = b->here ? TRANSFER_DONE : TRANSFER_WAITING };

		if (b->kind == BLOB_LAYER && pull_send_layer(p, b, &status, b->here, err) < 0)
			return err->code;
		b->sent = status;
	}
	return OK;
}

static int prepare(struct pull *p, struct err *err)
{
	if (plan(p, err) < 0 || take_lease(p, err) < 0)
		return err->code;
	for (size_t i = 0; i < p->n_blobs; i++)
		if (claim(p, &p->blobs[i], err) < 0)
			return err->code;
	if (reserve(p, err) < 0)
		return err->code;
	return tell_plan(p, err);
}

/* ---- configuration -------------------------------------------------------- */

static int read_ingest(struct ingest *ingest, struct buf *out, struct err *err)
{
	CLEANUP(closep) int fd = -1;
	int64_t size = ingest_offset(ingest);
	uint8_t *room;

	if (ingest_reader(ingest, &fd, err) < 0)
		return err->code;
	room = size <= CONFIG_BYTES_MAX ? buf_reserve(out, (size_t)size) : NULL;
	if (!room)
		return fail(err, E_LIMIT, "the image configuration has %lld bytes; at most %d are read",
			    (long long)size, CONFIG_BYTES_MAX);
	for (int64_t done = 0; done < size;) {
		ssize_t n = pread(fd, room + done, (size_t)(size - done), done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "image configuration");
		if (n == 0)
			return fail(err, E_CORRUPT, "the image configuration has become shorter");
		done += n;
	}
	out->len += (size_t)size;
	return OK;
}

/* As soon as the configuration is here: its counts against the manifest's, before
 * either list indexes the other. */
static int learn_config(struct pull *p, struct pull_blob *b, struct err *err)
{
	int r = b->ingest ? read_ingest(b->ingest, &p->config_body, err)
			  : content_read(p->service->store, &b->descriptor.digest, &p->config_body, err);

	if (r < 0)
		return r;
	if (image_config_parse(buf_bytes(&p->config_body), &p->config, err) < 0)
		return err->code;
	p->config_known = true;
	if (image_config_check_layers(&p->config, p->manifest.n_layers, err) < 0)
		return err->code;
	return p->peer->config ? p->peer->config(p->peer->arg, &p->manifest_digest, buf_bytes(&p->config_body), err)
			       : OK;
}

/* ---- transfers ------------------------------------------------------------ */

static int join(struct pull *p, struct pull_blob *b, struct err *err)
{
	char name[REFERENCE_TEXT_MAX];
	struct transfer_request request = {
		.blob = &b->descriptor,
		.repository = p->repository,
		.name = reference_name(&p->ref, name),
		.origin = p->peer->origin,
		.workers = b->kind == BLOB_LAYER ? p->workers : NULL,
		.no_image = p->no_layers,
		.data = b->data,
		.source = p->source,
	};

	return transfer_join(p->service->transfers, &request, &p->watch, &b->transfer, &b->started, err);
}

static void leave(struct pull *p, struct pull_blob *b)
{
	if (b->transfer)
		transfer_leave(TAKE(b->transfer), &p->watch);
	b->ingest = NULL;
	b->image = NULL;
}

void pull_leave(struct pull *p)
{
	for (size_t i = 0; i < p->n_blobs; i++)
		leave(p, &p->blobs[i]);
}

static int on_done(struct pull *p, struct pull_blob *b, const struct transfer_status *status, struct err *err)
{
	if (transfer_result(b->transfer, &b->ingest, &b->facts, err) < 0)
		return err->code;
	b->here = true;
	b->image = transfer_image(b->transfer);
	if (b->started)
		p->fetched_bytes += status->fetched;
	return b->kind == BLOB_CONFIG ? learn_config(p, b, err) : OK;
}

/* Somebody else's transfer may have failed for reasons that are theirs (their
 * credentials, their repository, the image of a layer): then with ours. Each time one who failed goes
 * away, so this ends. */
static int on_failed(struct pull *p, struct pull_blob *b, struct err *err)
{
	struct layer_facts facts;
	struct ingest *ingest;
	int r = transfer_result(b->transfer, &ingest, &facts, err);

	if (b->started || transfer_is_from(b->transfer, &p->source, p->no_layers))
		return r;
	leave(p, b);
	return join(p, b, err);
}

static int tell(struct pull *p, struct pull_blob *b, const struct transfer_status *status, struct err *err)
{
	int64_t now = clock_monotonic_ms();
	bool changed = status->state != b->sent.state;

	if (b->kind != BLOB_LAYER)
		return OK;
	if (!changed && (status->present == b->sent.present || now - b->sent_ms < PULL_PROGRESS_MS))
		return OK;
	b->sent = *status;
	b->sent_ms = now;
	return pull_send_layer(p, b, status, false, err);
}

static int look(struct pull *p, struct pull_blob *b, struct err *err)
{
	struct transfer_status status;

	transfer_status(b->transfer, &status);
	if (status.state == TRANSFER_FAILED)
		return on_failed(p, b, err);
	if (status.state == TRANSFER_DONE && on_done(p, b, &status, err) < 0)
		return err->code;
	return tell(p, b, &status, err);
}

static bool is_small(const struct pull_blob *b)
{
	return b->descriptor.size <= PULL_SMALL_BYTES;
}

struct running {
	size_t small, large;
};

static bool may_join(const struct running *r, const struct pull_blob *b)
{
	return r->small + r->large < PULL_PARALLEL_SMALL && (is_small(b) || r->large < PULL_PARALLEL);
}

/* Looks at all that runs, starts what may run; *ret_open counts what is not here. */
static int step(struct pull *p, size_t *ret_open, struct err *err)
{
	struct running running = { 0, 0 };

	*ret_open = 0;
	for (size_t i = 0; i < p->n_blobs; i++) {
		struct pull_blob *b = &p->blobs[i];

		if (b->here)
			continue;
		if (!b->transfer && may_join(&running, b) && join(p, b, err) < 0)
			return err->code;
		if (b->transfer && look(p, b, err) < 0)
			return err->code;
		if (b->here)
			continue;
		running.small += b->transfer && is_small(b);
		running.large += b->transfer && !is_small(b);
		(*ret_open)++;
	}
	return OK;
}

static int run(struct pull *p, struct err *err)
{
	size_t open = 0;

	for (;;) {
		if (cancel_check(p->cancel, err) < 0 || step(p, &open, err) < 0)
			return err->code;
		if (!open)
			return OK;
		transfer_watch_wait(&p->watch, PULL_PROGRESS_MS);
	}
}

int pull_fetch(struct pull *p, struct err *err)
{
	struct cancel_hook hook = { .fn = transfer_watch_wake, .arg = &p->watch };
	struct pull_blob *config;
	int r;

	if (prepare(p, err) < 0)
		return err->code;
	config = find_blob(p, &p->manifest.config.digest);
	if (config->here && learn_config(p, config, err) < 0)
		return err->code;
	cancel_hook(p->cancel, &hook);
	r = run(p, err);
	cancel_unhook(p->cancel, &hook);
	return r;
}
