/* Import: the request, and the tar out of the client or the network. */
#include "service/image/import.h"

#include "proto/runtime/clock.h"
#include "service/build/apply.h"
#include "service/image/layer_file.h"
#include "service/registry/download.h"
#include "service/registry/url.h"

enum {
	TELL_BYTES = 512 * 1024, /* between two messages of progress, */
	TELL_MS = 100,		 /* and so long */
	CHANGES_ARENA_MAX = 16 * 1024 * 1024,
	EMPTY_TAR_BYTES = 1024, /* the two zero blocks at the end of every tar */
};

static int send_event(struct import *m, const Imaged__V1__ImportEvent *event, struct err *err)
{
	return imaged__v1__image_service__import_send(m->call, event, err);
}

/* ---- what is wanted --------------------------------------------------------- */

static int set_reference(struct import *m, const char *text, struct err *err)
{
	if (!*text)
		return OK;
	if (reference_parse(text, &m->ref, err) < 0)
		return err->code;
	if (digest_is_set(&m->ref.digest))
		return fail(err, E_INVALID_REFERENCE, "cannot import digest reference");
	reference_default_tag(&m->ref);
	m->named = true;
	return OK;
}

/* What the machine could run at best (amd64/v4) is not what the tar needs; only for 32-bit
 * ARM the variants are different machines. */
static int set_platform(struct import *m, const char *text, struct err *err)
{
	m->image.platform = m->service->platform;
	m->image.platform.os_version[0] = 0;
	if (strcmp(m->image.platform.architecture, "arm") != 0)
		m->image.platform.variant[0] = 0;
	if (*text && platform_parse(text, &m->image.platform, err) < 0)
		return err->code;
	if (strcmp(m->image.platform.os, "linux") != 0)
		return fail(err, E_INVALID_PLATFORM, "operating system is not supported");
	return OK;
}

static int set_history(struct import *m, const Imaged__V1__ImportStart *start, struct err *err)
{
	CLEANUP(freep) char *source = *start->url ? url_for_display(start->url) : strdup("-");
	CLEANUP(freep) char *comment = NULL;
	int64_t now = clock_wall_ns();

	if (!source)
		return fail_nomem(err);
	comment = *start->message ? strdup(start->message) : format("Imported from %s", source);

	m->image.history = calloc(1, sizeof *m->image.history);
	m->image.diff_ids = calloc(1, sizeof *m->image.diff_ids);
	if (!m->image.history || !m->image.diff_ids || !comment)
		return fail_nomem(err);
	m->image.created = (struct timestamp){ .present = true,
					       .seconds = now / 1000000000,
					       .nanos = (int32_t)(now % 1000000000) };
	m->image.n_history = m->image.n_diff_ids = 1;
	m->image.history[0] = (struct history){ .created = m->image.created, .comment = strdup(comment) };
	m->image.comment = TAKE(comment);
	return m->image.history[0].comment ? OK : fail_nomem(err);
}

static int apply_change(const struct node *n, char escape, struct arena *a, struct build_stage *stage, struct err *err)
{
	struct instruction i;

	return instruction_of(n, escape, a, &i, err) < 0 ? err->code : instruction_apply(&i, stage, err);
}

static int check_keyword(const struct node *n, struct err *err)
{
	enum instruction_kind kind;

	if (instruction_find(n->keyword, &kind) && instruction_is_change(kind))
		return OK;
	return fail(err, E_INVALID, "%.*s is not a valid change command", (int)min_size(n->keyword.len, 64),
		    (const char *)n->keyword.data);
}

/* The changes are one Dockerfile together. */
static int apply_text(struct import *m, struct bytes text, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	struct build_stage stage;
	struct place ignored;
	struct tree tree;
	int r;

	arena_init(&a, DOCKERFILE_ARENA_MAX);
	r = tree_parse(text, &a, &tree, &ignored, err);
	for (size_t i = 0; r == OK && i < tree.n; i++)
		r = check_keyword(&tree.nodes[i], err);
	if (r == OK)
		stage_init(&stage, &m->image, tree.escape);
	for (size_t i = 0; r == OK && i < tree.n; i++)
		r = apply_change(&tree.nodes[i], tree.escape, &a, &stage, err);
	return r;
}

static int apply_changes(struct import *m, char *const *changes, size_t n, struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(SIZE_MAX / 2); /* a message has bounds */

	m->image.config.present = true;
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%s\n", changes[i]);
	if (!buf_ok(&text))
		return fail_nomem(err);
	return n ? apply_text(m, buf_bytes(&text), err) : OK;
}

/* The message is gone with the next one: the URL is opened here. */
static int receive_start(struct import *m, struct err *err)
{
	const Imaged__V1__ImportRequest *request;
	const Imaged__V1__ImportStart *start;
	struct download download = { .url = NULL };
	int r = imaged__v1__image_service__import_recv(m->call, &request, err);

	if (r < 0)
		return r;
	if (!r || request->request_case != IMAGED__V1__IMPORT_REQUEST__REQUEST_START)
		return fail(err, E_INVALID, "the first message must be `start`");
	start = request->start;
	if (set_platform(m, start->platform, err) < 0 || set_reference(m, start->reference, err) < 0 ||
	    apply_changes(m, start->changes, start->n_changes, err) < 0 || set_history(m, start, err) < 0)
		return err->code;
	download.url = start->url;
	return *start->url ? download_open(m->service->registry, &download, m->cancel, &m->download, err) : OK;
}

/* ---- where the tar comes from ----------------------------------------------- */

static int receive_data(void *import, struct bytes *ret_data, struct err *err)
{
	struct import *m = import;
	const Imaged__V1__ImportRequest *request;
	int r = imaged__v1__image_service__import_recv(m->call, &request, err);

	*ret_data = (struct bytes){ 0 };
	if (r <= 0)
		return r;
	if (request->request_case != IMAGED__V1__IMPORT_REQUEST__REQUEST_DATA)
		return fail(err, E_INVALID, "after `start` only `data` may follow");
	*ret_data = (struct bytes){ request->data.data, request->data.len };
	return 1;
}

static int tell(struct import *m, struct err *err)
{
	Imaged__V1__ImportEvent event = IMAGED__V1__IMPORT_EVENT__INIT;
	Imaged__V1__ImportProgress progress = IMAGED__V1__IMPORT_PROGRESS__INIT;
	int64_t total = http_response_of(m->download)->content_length;

	m->told = m->downloaded;
	m->told_at_ms = clock_monotonic_ms();
	progress.current = m->downloaded;
	progress.total = total > 0 ? total : 0;
	event.event_case = IMAGED__V1__IMPORT_EVENT__EVENT_PROGRESS;
	event.progress = &progress;
	return send_event(m, &event, err);
}

static int receive_download(void *import, struct bytes *ret_data, struct err *err)
{
	struct import *m = import;
	int r = http_next(m->download, ret_data, m->cancel, err);

	if (r < 0)
		return r;
	m->downloaded += r ? (int64_t)ret_data->len : 0;
	if (r ? m->downloaded - m->told < TELL_BYTES || clock_monotonic_ms() - m->told_at_ms < TELL_MS
	      : m->downloaded == m->told)
		return r;
	return tell(m, err) < 0 ? err->code : r;
}

static int open_source(struct import *m, struct err *err)
{
	struct archive_peer peer = { .receive = m->download ? receive_download : receive_data,
				     .arg = m,
				     .keeps_layers = true };

	if (m->download && tell(m, err) < 0)
		return err->code;
	return archive_source_open(&m->source, &peer, m->service->worker_program, m->cancel, err);
}

/* ---- into the store --------------------------------------------------------- */

/* How much will come is not known: what must stay free is looked at on the way. */
static int into_layer(void *import, struct bytes data, struct err *err)
{
	struct import *m = import;

	if (store_reserve(m->service->store, (int64_t)data.len, err) < 0)
		return err->code;
	m->layer.size += (int64_t)data.len;
	return ingest_write(m->layer.ingest, data.data, data.len, err);
}

static int take_layer(struct import *m, struct err *err)
{
	static const uint8_t zeros[EMPTY_TAR_BYTES];
	int64_t size = m->download ? http_response_of(m->download)->content_length : 0;

	if (size > 0 && store_reserve(m->service->store, size, err) < 0)
		return err->code;
	if (ingest_open_unnamed(m->service->store, DIGEST_SHA256, &m->layer.ingest, err) < 0 ||
	    archive_source_drain(&m->source, into_layer, m, err) < 0)
		return err->code;
	if (!m->layer.size && into_layer(m, (struct bytes){ zeros, sizeof zeros }, err) < 0)
		return err->code;
	return ingest_name(m->layer.ingest, &m->layer.digest, err);
}

/* ---- the call --------------------------------------------------------------- */

static int send_done(struct import *m, struct err *err)
{
	Imaged__V1__ImportEvent event = IMAGED__V1__IMPORT_EVENT__INIT;
	Imaged__V1__ImportDone done = IMAGED__V1__IMPORT_DONE__INIT;
	char id[DIGEST_TEXT_MAX], manifest[DIGEST_TEXT_MAX], name[REFERENCE_TEXT_MAX];

	done.image_id = digest_text(&m->config.digest, id);
	done.manifest_digest = digest_text(&m->manifest.digest, manifest);
	done.reference = m->named ? reference_text(&m->ref, name) : (char *)"";
	event.event_case = IMAGED__V1__IMPORT_EVENT__EVENT_DONE;
	event.done = &done;
	return send_event(m, &event, err);
}

static void release(struct import *m)
{
	const struct import_blob *const blobs[] = { &m->manifest, &m->config, &m->layer };
	int64_t freed;

	archive_source_close(&m->source);
	http_close(m->download);
	for (size_t i = 0; i < ARRAY_LEN(blobs); i++)
		ingest_unref(blobs[i]->ingest);
	if (m->leased) { /* it was not published */
		lease_release(m->service->store, &m->lease, NULL);
		for (size_t i = 0; i < ARRAY_LEN(blobs); i++)
			gc_blobs(m->service->store, &blobs[i]->digest, 1, &freed, NULL);
	}
	layer_image_free(m->layer_image);
	release_workers(m->call, m->workers);
	image_config_free(&m->image);
}

static int run(struct import *m, struct err *err)
{
	if (receive_start(m, err) < 0 || open_source(m, err) < 0 || take_layer(m, err) < 0 || import_image(m, err) < 0)
		return err->code;
	return send_done(m, err);
}

int import(void *self, struct rpc_call *call, struct err *err)
{
	struct import m = { .service = self, .call = call, .cancel = rpc_call_cancel(call) };
	int r;

	if (store_read_only(m.service->store))
		return fail(err, E_READ_ONLY, "the store at %s is read-only: nothing can be imported",
			    store_root(m.service->store));
	if (admission_enter(&m.service->uploads, UPLOADS_MAX, "archives are coming", err) < 0)
		return err->code;
	r = run(&m, err);
	release(&m);
	admission_leave(&m.service->uploads);
	return r;
}
