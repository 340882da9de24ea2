/*
 * A docker-archive and an imported tar come without a manifest, and the one that Load and
 * Import make names the layers as they came, mostly plain. A registry is sent what docker
 * sends: another manifest with the same configuration, so the same image, in Docker's
 * schema 2, whose plain layers are compressed with gzip (an OCI manifest where one of the
 * layers came as zstd, which schema 2 does not know, or where a build annotated it). It is published beside the first
 * one before anything is sent, so that no layer is compressed twice, however the push ends; the record of the first one
 * says that it was made here (ImageRecord.synthesized). What came with a manifest of its own is changed only for a
 * caller who wants docker's (PushRequest.docker_manifest).
 *
 * A layer that is here as gzip already, in whatever image, is taken as it is; so is another manifest of the same
 * configuration that came with its image where making docker's would take compressing.
 */
#include <unistd.h>

#include "proto/runtime/clock.h"
#include "service/image/compress_layer.h"
#include "service/image/convert.h"
#include "service/image/push.h"
#include "service/image/synthetic_manifest.h"
#include "store/image/names.h"

enum { THREADS_MAX = 2 };

static const char gzip_layer[] = "application/vnd.oci.image.layer.v1.tar+gzip";

/* ---- whether --------------------------------------------------------------- */

static bool is_plain(const char *media_type)
{
	struct media_type type = media_type_of(media_type);

	return type.kind == MEDIA_LAYER && type.compression == COMPRESSION_NONE;
}

static bool has_plain(const Imaged__Store__V1__ImageRecord *r)
{
	for (size_t i = 0; i < r->n_layers; i++)
		if (is_plain(r->layers[i]->media_type))
			return true;
	return false;
}

/* Whether docker's manifest can hold the layers, once the plain ones are compressed. */
static bool can_be_dockers(const Imaged__Store__V1__ImageRecord *r)
{
	for (size_t i = 0; i < r->n_layers; i++) {
		struct media_type type = media_type_of(r->layers[i]->media_type);

		if (type.kind != MEDIA_LAYER || type.compression == COMPRESSION_ZSTD)
			return false;
	}
	return true;
}

static bool layers_are_here(struct store *s, const Imaged__Store__V1__ImageRecord *r)
{
	for (size_t i = 0; i < r->n_layers; i++) {
		struct digest d;

		if (digest_of_record(&r->layers[i]->digest, &d, NULL) < 0 || !content_exists(s, &d, NULL))
			return false;
	}
	return true;
}

/* Whether the manifest is the one that docker would send with these layers. */
static bool is_dockers(struct store *s, const struct image *image, const struct digest *manifest)
{
	CLEANUP(image_content_free) struct image_content c = { 0 };
	CLEANUP(freep) struct synthetic_layer *layers = NULL;
	CLEANUP(buf_free) struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);
	struct digest d;

	if (image_content_read(s, image, &c, NULL) < 0)
		return false;
	layers = calloc(c.manifest.n_layers + 1, sizeof *layers);
	if (!layers)
		return false;
	for (size_t i = 0; i < c.manifest.n_layers; i++)
		layers[i] = (struct synthetic_layer){ gzip_layer, c.manifest.layers[i].digest,
						      c.manifest.layers[i].size };
	if (docker_manifest(&c.manifest.config.digest, (int64_t)c.config_body.len, layers, c.manifest.n_layers, &body,
			    NULL) < 0)
		return false;
	digest_of(DIGEST_SHA256, buf_bytes(&body), &d);
	return digest_eq(&d, manifest);
}

/* Another manifest of the same configuration without plain layers. */
struct other {
	struct digest manifest;
	bool found;
	bool dockers; /* made for a push; else one that came with the image */
};

static int find_other(struct push *p, const struct digest *config, struct other *ret_other, struct err *err)
{
	CLEANUP(arena_free) struct arena list;
	struct digest *manifests;
	size_t n;

	*ret_other = (struct other){ .found = false };
	arena_init(&list, ANSWER_BYTES_MAX);
	if (manifests_of(p->service->store, config, &list, &manifests, &n, err) < 0)
		return err->code;
	for (size_t i = 0; i < n && !ret_other->dockers; i++) {
		CLEANUP(arena_free) struct arena a;
		struct image image;
		bool dockers;

		arena_init(&a, ANSWER_BYTES_MAX);
		if (image_get(p->service->store, &manifests[i], &a, &image, NULL) < 0 || image.record->synthesized ||
		    has_plain(image.record) || !layers_are_here(p->service->store, image.record))
			continue;
		dockers = is_dockers(p->service->store, &image, &manifests[i]);
		if (dockers || !ret_other->found)
			*ret_other = (struct other){ manifests[i], true, dockers };
	}
	return OK;
}

/* The same for an image that an index lists: one of the same kind. `dockers` says that it will do. */
static int find_of_kind(struct push *p, const struct digest *config, enum media_kind kind, struct other *ret_other,
			struct err *err)
{
	CLEANUP(arena_free) struct arena list;
	struct digest *manifests;
	size_t n;

	*ret_other = (struct other){ .found = false };
	arena_init(&list, ANSWER_BYTES_MAX);
	if (manifests_of(p->service->store, config, &list, &manifests, &n, err) < 0)
		return err->code;
	for (size_t i = 0; i < n && !ret_other->found; i++) {
		CLEANUP(arena_free) struct arena a;
		struct image image;

		arena_init(&a, ANSWER_BYTES_MAX);
		if (image_get(p->service->store, &manifests[i], &a, &image, NULL) == OK && !image.record->synthesized &&
		    media_type_of(image.record->media_type).kind == kind && !has_plain(image.record) &&
		    layers_are_here(p->service->store, image.record))
			*ret_other = (struct other){ manifests[i], true, true };
	}
	return OK;
}

/* ---- layers ---------------------------------------------------------------- */

/* A layer on its way; one that comes several times is done once. */
struct layer {
	const struct descriptor *from;
	struct digest digest; /* of the gzip; unset until it is known */
	int64_t size;
	struct ingest *ingest; /* NULL: it was here */
	size_t first;	       /* place of the same layer, its own when it is the first */
};

struct work {
	struct push *push;
	struct manifest manifest; /* the image's */
	struct buf body;	  /* the same */
	bool synthesized;	  /* it was made here */
	enum media_kind kind;	  /* that the other is to be of; MEDIA_UNKNOWN: as docker sends it */
	struct image_config config;
	int64_t config_size;
	struct layer *layers;
	struct layer_facts *facts;
	struct cancel *cancel;

	/* push.mu */
	size_t next, running;
	struct err failure;
};

static bool is_gzip(struct store *s, const struct digest *d, int64_t *ret_size)
{
	CLEANUP(closep) int fd = -1;
	const char *type;

	return content_open(s, d, &fd, ret_size, NULL) == OK && layer_media_type(fd, &type, NULL) == OK &&
	       !strcmp(type, gzip_layer);
}

/* The same tar as gzip, in another image. */
static bool find_gzip(struct push *p, const struct digest *diff_id, struct layer *l)
{
	enum { BLOBS_MAX = 16 };
	struct digest blobs[BLOBS_MAX];
	size_t n = layers_by_diff_id(p->service->store, diff_id, blobs, BLOBS_MAX);

	for (size_t i = 0; i < n; i++)
		if (is_gzip(p->service->store, &blobs[i], &l->size)) {
			l->digest = blobs[i];
			return true;
		}
	return false;
}

static int compress(struct work *w, struct layer *l, struct err *err)
{
	CLEANUP(closep) int fd = -1;
	const struct compress_options options = { .compression = COMPRESSION_GZIP };
	struct store *s = w->push->service->store;
	int64_t size;
	int r = content_open(s, &l->from->digest, &fd, &size, err);

	if (r == OK)
		r = compress_layer(s, fd, &l->from->digest, &options, w->cancel, &l->ingest, &l->digest, err);
	if (r == OK)
		l->size = ingest_offset(l->ingest);
	return r;
}

static int do_layer(struct work *w, size_t i, struct err *err)
{
	struct layer *l = &w->layers[i];

	if (!is_plain(l->from->media_type)) {
		l->digest = l->from->digest;
		l->size = l->from->size;
		return OK;
	}
	if (l->first != i || find_gzip(w->push, &w->facts[i].diff_id, l))
		return OK;
	return compress(w, l, err);
}

static bool take_next(struct work *w, size_t *ret_place)
{
	bool any;

	pthread_mutex_lock(&w->push->mu);
	any = w->next < w->manifest.n_layers && w->failure.code == OK;
	*ret_place = w->next;
	w->next += any;
	pthread_mutex_unlock(&w->push->mu);
	return any;
}

static void *run(void *arg)
{
	struct work *w = arg;
	size_t place;

	while (take_next(w, &place)) {
		struct err err = ERR_INIT;

		if (do_layer(w, place, &err) == OK)
			continue;
		pthread_mutex_lock(&w->push->mu);
		if (w->failure.code == OK)
			w->failure = err;
		pthread_mutex_unlock(&w->push->mu);
		cancel_fire(w->cancel, E_CANCELLED);
	}
	pthread_mutex_lock(&w->push->mu);
	w->running--;
	pthread_mutex_unlock(&w->push->mu);
	transfer_watch_wake(&w->push->watch);
	return NULL;
}

/* The call's thread waits, so that a client that goes away ends them. */
static int watch(struct work *w, struct err *err)
{
	struct push *p = w->push;
	int r = OK;

	for (;;) {
		bool running;

		pthread_mutex_lock(&p->mu);
		running = w->running > 0;
		pthread_mutex_unlock(&p->mu);
		if (!running)
			return r;
		transfer_watch_wait(&p->watch, UPLOAD_PROGRESS_MS);
		if (r == OK && (r = cancel_check(p->cancel, err)) != OK)
			cancel_fire(w->cancel, E_CANCELLED);
	}
}

/* Each layer takes all cores: a second one fills the gaps where the first is read and written. */
static unsigned threads_for(const struct work *w)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = cores > 1 ? (size_t)cores : 1;

	n = n < THREADS_MAX ? n : THREADS_MAX;
	return (unsigned)(n < w->manifest.n_layers ? n : w->manifest.n_layers);
}

static int run_all(struct work *w, struct err *err)
{
	pthread_t threads[THREADS_MAX];
	unsigned wanted = threads_for(w), n = 0;
	int r;

	w->running = wanted;
	while (n < wanted && !(errno = pthread_create(&threads[n], NULL, run, w)))
		n++;
	pthread_mutex_lock(&w->push->mu);
	w->running -= wanted - n;
	pthread_mutex_unlock(&w->push->mu);
	if (!n)
		return fail_errno(err, "start a thread");
	r = watch(w, err);
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	if (r == OK && w->failure.code != OK) {
		*err = w->failure;
		return w->failure.code;
	}
	return r;
}

static void take_over_repeated(struct work *w)
{
	for (size_t i = 0; i < w->manifest.n_layers; i++) {
		struct layer *l = &w->layers[i];

		if (l->first == i)
			continue;
		l->digest = w->layers[l->first].digest;
		l->size = w->layers[l->first].size;
	}
}

/* ---- the other image ------------------------------------------------------- */

static bool is_all_gzip(const struct synthetic_layer *layers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (media_type_of(layers[i].media_type).compression != COMPRESSION_GZIP)
			return false;
	return true;
}

static int make_manifest(struct work *w, bool *ret_annotated, struct buf *out, struct err *err)
{
	size_t n = w->manifest.n_layers;
	CLEANUP(freep) struct synthetic_layer *layers = calloc(n + 1, sizeof *layers);

	if (!layers)
		return fail_nomem(err);
	for (size_t i = 0; i < n; i++) {
		const struct layer *l = &w->layers[i];

		layers[i] = (struct synthetic_layer){ is_plain(l->from->media_type) ? gzip_layer : l->from->media_type,
						      l->digest, l->size };
	}
	if (annotated_manifest(buf_bytes(&w->body), layers, n, ret_annotated, out, err) < 0)
		return err->code;
	if (*ret_annotated)
		return OK;
	if (w->kind != MEDIA_OCI_MANIFEST && is_all_gzip(layers, n))
		return docker_manifest(&w->manifest.config.digest, w->config_size, layers, n, out, err);
	return synthetic_manifest(&w->manifest.config.digest, w->config_size, layers, n, out, err);
}

static int commit(struct work *w, const struct digest *manifest, struct ingest *document, struct lease_id *ret_lease,
		  struct err *err)
{
	struct store *s = w->push->service->store;
	size_t n = w->manifest.n_layers, n_ingests = 0;
	CLEANUP(freep) struct digest *digests = calloc(n + 2, sizeof *digests);
	CLEANUP(freep) struct ingest **ingests = calloc(n + 1, sizeof *ingests);

	if (!digests || !ingests)
		return fail_nomem(err);
	digests[0] = w->manifest.config.digest;
	digests[1] = *manifest;
	for (size_t i = 0; i < n; i++) {
		digests[i + 2] = w->layers[i].digest;
		if (w->layers[i].ingest)
			ingests[n_ingests++] = w->layers[i].ingest;
	}
	if (document)
		ingests[n_ingests++] = document;
	if (lease_create(s, "push", digests, n + 2, ret_lease, err) < 0)
		return err->code;
	if (n_ingests && content_commit(s, ingests, n_ingests, err) < 0) {
		lease_release(s, ret_lease, NULL);
		return err->code;
	}
	return OK;
}

static int publish(struct work *w, struct bytes body, const struct digest *digest, struct err *err)
{
	CLEANUP(manifest_free) struct manifest manifest = { .n_layers = 0 };
	CLEANUP(ingest_unrefp) struct ingest *document = NULL;
	struct store *s = w->push->service->store;
	struct lease_id lease;
	struct publication publication = {
		.root = *digest,
		.manifest_digest = *digest,
		.manifest_size = (int64_t)body.len,
		.manifest = &manifest,
		.config = &w->config,
		.layers = w->facts,
		.lease = &lease,
		.now_ns = clock_wall_ns(),
	};
	bool changed;

	if (manifest_parse(body, &manifest, err) < 0)
		return err->code;
	publication.root_media_type = publication.manifest_media_type = media_kind_name(manifest.kind);
	if (ingest_bytes(s, digest, body, &document, err) < 0 || commit(w, digest, document, &lease, err) < 0)
		return err->code;
	if (image_publish(s, &publication, &changed, err) == OK)
		return OK;
	lease_release(s, &lease, NULL);
	return err->code;
}

static int prepare(struct work *w, struct err *err)
{
	size_t n = w->manifest.n_layers;

	w->layers = calloc(n + 1, sizeof *w->layers);
	w->facts = calloc(n + 1, sizeof *w->facts);
	w->cancel = cancel_new();
	if (!w->layers || !w->facts || !w->cancel)
		return fail_nomem(err);
	for (size_t i = 0; i < n; i++) {
		struct layer *l = &w->layers[i];

		l->from = &w->manifest.layers[i];
		while (l->first < i && !digest_eq(&w->layers[l->first].from->digest, &l->from->digest))
			l->first++;
		if (layer_facts_get(w->push->service->store, &l->from->digest, &w->facts[i], err) < 0)
			return err->code;
	}
	return OK;
}

/* All layers are here as gzip: nothing is to be compressed. */
static bool is_compressed(struct work *w)
{
	for (size_t i = 0; i < w->manifest.n_layers; i++) {
		struct layer *l = &w->layers[i];

		if (is_plain(l->from->media_type) && l->first == i && !find_gzip(w->push, &w->facts[i].diff_id, l))
			return false;
	}
	return true;
}

/* `may_compress`: else only when there is nothing to compress. */
static int make_other(struct work *w, bool may_compress, struct other *ret_other, struct err *err)
{
	struct cancel_hook hook = { .fn = transfer_watch_wake, .arg = &w->push->watch };
	CLEANUP(buf_free) struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);
	bool annotated = false;
	int r;

	if (prepare(w, err) < 0)
		return err->code;
	if (!may_compress && !is_compressed(w))
		return OK;
	cancel_hook(w->push->cancel, &hook);
	r = w->manifest.n_layers ? run_all(w, err) : OK;
	cancel_unhook(w->push->cancel, &hook);
	if (r != OK)
		return r;
	take_over_repeated(w);
	if (make_manifest(w, &annotated, &body, err) < 0)
		return err->code;
	if (annotated && !w->synthesized)
		return OK; /* it says what docker's cannot */
	*ret_other = (struct other){ .found = true, .dockers = true };
	digest_of(DIGEST_SHA256, buf_bytes(&body), &ret_other->manifest);
	return publish(w, buf_bytes(&body), &ret_other->manifest, err);
}

static void work_free(struct work *w)
{
	for (size_t i = 0; w->layers && i < w->manifest.n_layers; i++)
		ingest_unref(w->layers[i].ingest);
	free(w->layers);
	free(w->facts);
	cancel_unref(w->cancel);
	manifest_free(&w->manifest);
	buf_free(&w->body);
	image_config_free(&w->config);
}

static int compress_image(struct push *p, const struct digest *manifest, enum media_kind kind, bool may_compress,
			  struct other *ret_other, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	CLEANUP(image_content_free) struct image_content c = { 0 };
	CLEANUP(work_free) struct work w = { .push = p, .kind = kind };
	struct image stored;

	arena_init(&a, ANSWER_BYTES_MAX);
	if (image_get(p->service->store, manifest, &a, &stored, err) < 0 ||
	    image_content_read(p->service->store, &stored, &c, err) < 0)
		return err->code;
	w.synthesized = stored.record->synthesized;
	w.config_size = (int64_t)c.config_body.len;
	w.manifest = TAKE(c.manifest);
	w.body = TAKE(c.manifest_body);
	w.config = TAKE(c.config);
	return make_other(&w, may_compress, ret_other, err);
}

/* ---- one at a time --------------------------------------------------------- */

/* Images that are being compressed in this process; the entries are their calls'. */
struct busy {
	struct digest manifest;
	struct busy *next;
};

static pthread_mutex_t busy_mu = PTHREAD_MUTEX_INITIALIZER;
static struct busy *busy_first; /* busy_mu */

static bool try_enter(struct busy *b)
{
	bool free = true;

	pthread_mutex_lock(&busy_mu);
	for (const struct busy *i = busy_first; i; i = i->next)
		free = free && !digest_eq(&i->manifest, &b->manifest);
	if (free) {
		b->next = busy_first;
		busy_first = b;
	}
	pthread_mutex_unlock(&busy_mu);
	return free;
}

static void leave(struct busy *b)
{
	pthread_mutex_lock(&busy_mu);
	for (struct busy **i = &busy_first; *i; i = &(*i)->next)
		if (*i == b) {
			*i = b->next;
			break;
		}
	pthread_mutex_unlock(&busy_mu);
}

/* Who comes while another push makes it takes what that one has made. */
static int find_or_make(struct push *p, const struct digest *manifest, const struct digest *config,
			enum media_kind kind, struct other *ret_other, struct err *err)
{
	struct busy b = { .manifest = *manifest };
	int r;

	while (!try_enter(&b)) {
		if (cancel_check(p->cancel, err) < 0)
			return err->code;
		transfer_watch_wait(&p->watch, UPLOAD_PROGRESS_MS);
	}
	r = kind == MEDIA_UNKNOWN ? find_other(p, config, ret_other, err)
				  : find_of_kind(p, config, kind, ret_other, err);
	if (r == OK && !ret_other->dockers && !store_read_only(p->service->store))
		r = compress_image(p, manifest, kind, p->docker_manifest || !ret_other->found, ret_other, err);
	leave(&b);
	return r;
}

/* A store that cannot be written to is pushed as it is. */
int push_compress(struct push *p, struct push_image *image, const Imaged__Store__V1__ImageRecord *record,
		  struct err *err)
{
	struct digest config;
	struct other other = { .found = false };

	if (!digest_eq(&image->root, &image->chosen) ||
	    !(record->synthesized || (p->docker_manifest && can_be_dockers(record))))
		return OK;
	if (digest_of_record(&record->config, &config, err) < 0 ||
	    find_or_make(p, &image->root, &config, MEDIA_UNKNOWN, &other, err) < 0)
		return err->code;
	if (other.found && (other.dockers || record->synthesized))
		image->root = image->chosen = other.manifest;
	return OK;
}

int push_compress_listed(struct push *p, const struct digest *manifest, struct digest *ret_other, bool *ret_found,
			 struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	struct digest config;
	struct other other = { .found = false };
	struct image image;

	*ret_found = false;
	arena_init(&a, ANSWER_BYTES_MAX);
	if (image_get(p->service->store, manifest, &a, &image, NULL) < 0 || !image.record->synthesized ||
	    !has_plain(image.record))
		return OK; /* it is not here, or none of ours */
	if (digest_of_record(&image.record->config, &config, err) < 0 ||
	    find_or_make(p, manifest, &config, media_type_of(image.record->media_type).kind, &other, err) < 0)
		return err->code;
	*ret_found = other.found;
	*ret_other = other.manifest;
	return OK;
}
