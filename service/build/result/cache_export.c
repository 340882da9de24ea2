#include "service/build/result/cache_export.h"

#include "service/build/result/cache_document.h"
#include "service/build/result/cache_mount_export.h"
#include "service/build/result/exporting.h"
#include "service/build/result/pushing.h"
#include "store/archive/documents.h"

enum { FILE_MODE = 0100644, DIRECTORY_MODE = 0040755, CACHED_MOUNTS_MAX = 100 };

/* ---- the document ---------------------------------------------------------------- */

static bool is_in(const struct made_image *i, const struct digest *diff_id)
{
	for (size_t k = 0; k < i->n_layers; k++)
		if (digest_eq(&i->layers[k].facts.diff_id, diff_id))
			return true;
	return false;
}

static void add_step(struct cache_document *d, const struct solved_step *s)
{
	const struct step_result *result = build_layer_result(s->layer);
	struct cached_step *to = &d->steps[d->n_steps++];

	to->n_keys = s->n_keys < STEP_KEYS_MAX ? s->n_keys : STEP_KEYS_MAX;
	memcpy(to->keys, s->keys, to->n_keys * sizeof *to->keys);
	to->diff_id = result->diff_id;
	to->created_ns = result->created_ns;
	to->description = strdup(s->op && s->op->title ? s->op->title : "");
}

/* Those of which the layers are in one of the `n` images. */
static int fill_steps(struct cache_document *d, const struct made_image *images, size_t n, struct err *err)
{
	size_t room = 1;

	for (size_t i = 0; i < n; i++)
		room += images[i].built->solution->n_steps;
	d->steps = calloc(room, sizeof *d->steps);
	if (!d->steps)
		return fail_nomem(err);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < images[i].built->solution->n_steps; k++) {
			const struct solved_step *s = &images[i].built->solution->steps[k];

			if (s->layer && s->n_keys && is_in(&images[i], &build_layer_result(s->layer)->diff_id))
				add_step(d, s);
		}
	return d->n_steps <= CACHE_STEPS_MAX ? OK
					     : fail(err, E_LIMIT, "the cache has more than %d steps", CACHE_STEPS_MAX);
}

int cache_write_inline(struct made_image *image, struct err *err)
{
	CLEANUP(cache_document_free) struct cache_document d = { .n_steps = 0 };

	if (fill_steps(&d, image, 1, err) < 0)
		return err->code;
	return cache_document_write(&d, &image->cache, err);
}

/* ---- the manifest ---------------------------------------------------------------- */

/* A cache on its way: what is sent is an image in all but its configuration. */
struct caching {
	struct made *made;
	struct made_image *all;
	const Imaged__V1__CacheTarget *target;
	struct cached_step mounts[CACHED_MOUNTS_MAX];
	size_t n_mounts;
};

/* Layers of all platforms in one list, each once; of mode=max also those of steps that are in no
 * image. What is more than a manifest holds is left out, the last ones first. */
static void add_layer(struct made_image *all, struct made_layer *l)
{
	if (l->foreign || all->n_layers == MANIFEST_LAYERS_MAX || is_in(all, &l->facts.diff_id))
		return;
	all->layers[all->n_layers] = *l;
	all->layers[all->n_layers++].ingest = NULL;
}

static struct made_layer layer_of_step(const struct solved_step *s)
{
	const struct step_result *result = build_layer_result(s->layer);

	return (struct made_layer){
		.digest = result->blob,
		.size = result->blob_size,
		.compression = media_type_of(result->media_type).compression,
		.facts = result->facts,
	};
}

/* Of a base image nothing is cached here: it has its own registry. */
static int collect_layers(struct made_image *all, const struct made *m, bool max, struct err *err)
{
	all->layers = calloc(MANIFEST_LAYERS_MAX, sizeof *all->layers);
	if (!all->layers)
		return fail_nomem(err);
	for (size_t i = 0; i < m->n; i++)
		for (size_t k = 0; k < m->images[i].n_layers; k++)
			if (m->images[i].layers[k].above_base)
				add_layer(all, &m->images[i].layers[k]);
	for (size_t i = 0; max && i < m->n; i++)
		for (size_t k = 0; k < m->images[i].built->solution->n_steps; k++) {
			const struct solved_step *s = &m->images[i].built->solution->steps[k];
			struct made_layer l;

			if (!s->layer)
				continue;
			l = layer_of_step(s);
			add_layer(all, &l);
		}
	return OK;
}

static int collect_mounts(struct caching *c, struct err *err)
{
	struct made_layer layers[CACHED_MOUNTS_MAX];
	size_t n = 0;
	int r;

	if (!c->target->cache_mounts)
		return OK;
	r = cache_mounts_export(c->made->r, layers, c->mounts, CACHED_MOUNTS_MAX, &n, err);
	c->n_mounts = n;
	for (size_t i = 0; i < n; i++) {
		size_t before = c->all->n_layers;

		add_layer(c->all, &layers[i]);
		if (c->all->n_layers > before)
			c->all->layers[before].ingest = layers[i].ingest;
		else
			ingest_unref(layers[i].ingest);
	}
	return r;
}

static int append_mounts(struct caching *c, struct cache_document *d, struct err *err)
{
	struct cached_step *larger = reallocarray(d->steps, d->n_steps + c->n_mounts + 1, sizeof *larger);

	if (!larger)
		return fail_nomem(err);
	d->steps = larger;
	for (size_t i = 0; i < c->n_mounts; i++)
		if (is_in(c->all, &c->mounts[i].diff_id))
			d->steps[d->n_steps++] = TAKE(c->mounts[i]);
	return OK;
}

/* Steps of all platforms, by the layers that go along. */
static int write_config(struct caching *c, struct err *err)
{
	const struct result_request *r = c->made->r;
	CLEANUP(cache_document_free) struct cache_document d = { .n_steps = 0 };
	CLEANUP(freep) struct made_image *views = calloc(r->n_built, sizeof *views);

	if (!views)
		return fail_nomem(err);
	for (size_t i = 0; i < r->n_built; i++)
		views[i] = (struct made_image){ .built = &r->built[i],
						.layers = c->all->layers,
						.n_layers = c->all->n_layers };
	d.diff_ids = calloc(c->all->n_layers + 1, sizeof *d.diff_ids);
	if (!d.diff_ids)
		return fail_nomem(err);
	for (; d.n_diff_ids < c->all->n_layers; d.n_diff_ids++)
		d.diff_ids[d.n_diff_ids] = c->all->layers[d.n_diff_ids].facts.diff_id;
	if (fill_steps(&d, views, r->n_built, err) < 0 || append_mounts(c, &d, err) < 0)
		return err->code;
	return cache_document_write(&d, &c->all->config.body, err);
}

static int begin_cache(struct caching *c, struct err *err)
{
	c->made->images = c->all = calloc(1, sizeof *c->all);
	if (!c->all)
		return fail_nomem(err);
	c->made->n = 1;
	c->all->built = &c->made->r->built[0];
	c->all->config.body = (struct buf)BUF_INIT(CONFIG_BYTES_MAX);
	c->all->manifest.body = (struct buf)BUF_INIT(MANIFEST_BYTES_MAX);
	c->all->config.media_type = CACHE_CONFIG_TYPE;
	return OK;
}

static int fill_cache(struct caching *c, const struct made *images, struct err *err)
{
	struct made *m = c->made;

	if (begin_cache(c, err) < 0 || collect_layers(c->all, images, c->target->max, err) < 0 ||
	    collect_mounts(c, err) < 0 || made_compress(m, COMPRESSION_GZIP, 0, false, err) < 0 ||
	    write_config(c, err) < 0)
		return err->code;
	made_document_finish(&c->all->config);
	if (made_documents(m, err) < 0)
		return err->code;
	return made_commit(m, err);
}

static int make_cache(struct made *m, const Imaged__V1__CacheTarget *target, struct err *err)
{
	const Imaged__V1__BuildOutput plain = IMAGED__V1__BUILD_OUTPUT__INIT;
	CLEANUP(made_end) struct made images = { .n = 0 };
	struct caching c = { .made = m, .target = target };
	int r = made_begin(m->r, &plain, m->arena, &images, err);

	if (r == OK)
		r = fill_cache(&c, &images, err);
	for (size_t i = 0; i < c.n_mounts; i++)
		free(c.mounts[i].description);
	return r;
}

/* ---- to a registry --------------------------------------------------------------- */

static int to_registry(struct made *m, const Imaged__V1__CacheTarget *target, uint32_t output, struct vertex *vertex,
		       struct err *err)
{
	struct reference ref = { .tag = "" };

	(void)output;
	if (reference_parse(target->reference, &ref, err) < 0)
		return err_wrap(err, "invalid cache reference \"%s\"", target->reference);
	reference_default_tag(&ref);
	if (push_made(m, &ref, vertex, err) < 0)
		return err->code;
	return keep_made(m, err);
}

/* ---- to the client --------------------------------------------------------------- */

struct layout {
	const struct made *made;
	struct output_stream stream;
};

static int send_entry(struct layout *l, const char *path, uint32_t mode, int64_t size, struct err *err)
{
	Imaged__V1__BuildEvent event = IMAGED__V1__BUILD_EVENT__INIT;
	Imaged__V1__OutputEntry m = IMAGED__V1__OUTPUT_ENTRY__INIT;
	Imaged__V1__ContextEntry entry = IMAGED__V1__CONTEXT_ENTRY__INIT;

	entry.path = (ProtobufCBinaryData){ strlen(path), (uint8_t *)path };
	entry.mode = mode;
	entry.size = size;
	m.output = l->stream.output;
	m.entry = &entry;
	event.event_case = IMAGED__V1__BUILD_EVENT__EVENT_OUTPUT_ENTRY;
	event.output_entry = &m;
	return l->stream.peer->send(l->stream.peer->arg, &event, err);
}

static int send_text(struct layout *l, const char *path, struct bytes text, struct err *err)
{
	if (send_entry(l, path, FILE_MODE, (int64_t)text.len, err) < 0)
		return err->code;
	return output_send(&l->stream, text.data, text.len, true, err);
}

static int send_blob(struct layout *l, const struct digest *d, struct err *err)
{
	CLEANUP(freep) uint8_t *piece = malloc(OUTPUT_PIECE_BYTES);
	CLEANUP(closep) int fd = -1;
	char path[TAR_NAME_MAX];
	int64_t size = 0;
	ssize_t n;

	if (!piece)
		return fail_nomem(err);
	if (content_open(l->made->r->service->store, d, &fd, &size, err) < 0 ||
	    send_entry(l, blob_member_name(d, path), FILE_MODE, size, err) < 0)
		return err->code;
	while ((n = read(fd, piece, OUTPUT_PIECE_BYTES)) > 0)
		if (cancel_check(l->made->r->cancel, err) < 0 ||
		    output_send(&l->stream, piece, (size_t)n, false, err) < 0)
			return err->code;
	if (n < 0)
		return fail_errno(err, "read a blob");
	return output_send(&l->stream, piece, 0, true, err);
}

static int send_blobs(struct layout *l, struct err *err)
{
	const struct made_image *all = &l->made->images[0];

	if (send_entry(l, "blobs", DIRECTORY_MODE, 0, err) < 0 ||
	    send_entry(l, "blobs/sha256", DIRECTORY_MODE, 0, err) < 0 || send_blob(l, &all->config.digest, err) < 0 ||
	    send_blob(l, &all->manifest.digest, err) < 0)
		return err->code;
	for (size_t i = 0; i < all->n_layers; i++)
		if (send_blob(l, &all->layers[i].digest, err) < 0)
			return err->code;
	return OK;
}

/* The index comes last, so that a directory which is cut off still has the one from before. */
static int send_index(struct layout *l, const char *tag, struct err *err)
{
	const struct made_document *root = made_root(l->made);
	CLEANUP(buf_free) struct buf index = BUF_INIT(MANIFEST_BYTES_MAX);
	char text[DIGEST_TEXT_MAX];

	if (!reference_is_tag(tag))
		return fail(err, E_INVALID, "invalid tag \"%s\" of a local cache", tag);
	buf_printf(&index,
		   "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[{"
		   "\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu,\"annotations\":{"
		   "\"org.opencontainers.image.ref.name\":\"%s\"}}]}",
		   root->media_type, digest_text(&root->digest, text), root->body.len, tag);
	return buf_ok(&index) ? send_text(l, "index.json", buf_bytes(&index), err) : fail_nomem(err);
}

static int to_client(struct made *m, const Imaged__V1__CacheTarget *target, uint32_t output, struct vertex *vertex,
		     struct err *err)
{
	struct layout l = {
		.made = m,
		.stream = { .peer = &m->r->peer,
			    .output = output,
			    .vertex = vertex,
			    .what = "copying files",
			    .goes_on = true },
	};

	if (send_text(&l, "oci-layout", bytes_of(OCI_LAYOUT_TEXT), err) < 0 || send_blobs(&l, err) < 0 ||
	    send_index(&l, *target->reference ? target->reference : "latest", err) < 0)
		return err->code;
	vertex_status(vertex, "copying files", l.stream.sent, 0, true);
	return OK;
}

/* ---- all of them ----------------------------------------------------------------- */

static const struct target {
	const char *type, *vertex;
	int (*send)(struct made *m, const Imaged__V1__CacheTarget *target, uint32_t output, struct vertex *vertex,
		    struct err *err);
} targets[] = {
	{ "registry", "exporting cache to registry", to_registry },
	{ "local", "exporting cache to client directory", to_client },
};

static const struct target *find_target(const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(targets); i++)
		if (!strcmp(type, targets[i].type))
			return &targets[i];
	return NULL;
}

static int export_cache(const struct result_request *r, size_t i, struct err *err)
{
	const Imaged__V1__CacheTarget *message = r->start->cache_to[i];
	const struct target *target = find_target(message->type);
	CLEANUP(arena_free) struct arena a = { .cap = 0 };
	CLEANUP(made_end) struct made m = { .r = r, .arena = &a };
	struct vertex *vertex;
	int rc;

	if (!target)
		return fail(err, E_INVALID, "unknown cache exporter: \"%s\"", message->type);
	arena_init(&a, SELECTION_BYTES_MAX);
	vertex = progress_begin(r->progress, target->vertex, NULL);
	vertex_status(vertex, "preparing build cache for export", 0, 0, false);
	rc = make_cache(&m, message, err);
	if (rc == OK) {
		vertex_status(vertex, "preparing build cache for export", 0, 0, true);
		rc = target->send(&m, message, (uint32_t)(r->start->n_outputs + i), vertex, err);
	}
	if (rc == OK)
		vertex_done(vertex);
	else
		vertex_failed(vertex, err);
	return rc;
}

int caches_export(const struct result_request *r, struct err *err)
{
	int rc = OK;

	for (size_t i = 0; rc == OK && i < r->start->n_cache_to; i++)
		if (strcmp(r->start->cache_to[i]->type, "inline") != 0)
			rc = export_cache(r, i, err);
	return rc;
}
