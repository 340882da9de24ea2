/* --cache-from: results of builds elsewhere, fetched when a step wants one. What comes of one is a layer as
 * a step makes it, which goes the same way into the cache. */
#include <pthread.h>

#include "proto/runtime/hash.h"
#include "service/build/result/cache_source.h"
#include "service/image/layer_file.h"
#include "store/gc/gc.h"
#include "store/gc/lease.h"

enum { BUSY_MS = 50 };

struct import_key {
	struct digest key;
	const struct cached_step *step;
	UT_hash_handle hh;
};

struct import_source {
	struct cache_imports *all;
	struct cache_source source;
	struct import_key *keys; /* by key; n_keys in one array */
	struct import_key *by_key;
};

struct cache_imports {
	struct image_service *service;
	struct layer_files *files;
	struct layer_workers *workers;
	struct import_source *sources;
	struct cache_import *imports;
	size_t n;
	struct lease_id lease; /* on what was brought, until the steps' own hold it */
	bool leased;
	pthread_mutex_t mu;
	struct digest *held; /* mu */
	size_t n_held;	     /* mu */
};

/* ---- a layer --------------------------------------------------------------------- */

static const char *layer_type(enum compression compression)
{
	static const char *const types[] = {
		[COMPRESSION_NONE] = "application/vnd.oci.image.layer.v1.tar",
		[COMPRESSION_GZIP] = "application/vnd.oci.image.layer.v1.tar+gzip",
		[COMPRESSION_ZSTD] = "application/vnd.oci.image.layer.v1.tar+zstd",
	};

	return types[compression];
}

static const struct descriptor *find_layer(const struct cache_source *s, const struct digest *diff_id)
{
	for (size_t i = 0; i < s->document.n_diff_ids; i++)
		if (digest_eq(&s->document.diff_ids[i], diff_id) && s->manifest.layers[i].type.kind == MEDIA_LAYER)
			return &s->manifest.layers[i];
	return NULL;
}

/* NULL: the blob is here. One that somebody else fetches is waited for. */
static int open_ingest(struct store *s, const struct descriptor *blob, struct cancel *cancel,
		       struct ingest **ret_ingest, struct err *err)
{
	int r;

	*ret_ingest = NULL;
	while ((r = ingest_open(s, &blob->digest, blob->size, ret_ingest, err)) == E_BUSY)
		if (cancel_wait(cancel, BUSY_MS))
			return cancel_check(cancel, err);
	return r == E_EXISTS ? OK : r;
}

static int open_blob(struct store *s, const struct descriptor *blob, struct ingest *ingest, int *ret_fd,
		     struct err *err)
{
	int64_t size;

	return ingest ? ingest_reader(ingest, ret_fd, err) : content_open(s, &blob->digest, ret_fd, &size, err);
}

/* By the sandboxed worker, as what a pull brings. */
static int verify(struct cache_imports *c, const struct descriptor *blob, struct ingest *ingest, struct cancel *cancel,
		  struct layer_facts *ret_facts, struct layer_image **ret_image, struct err *err)
{
	struct store *s = c->service->store;
	CLEANUP(layer_image_freep) struct layer_image *image = NULL;
	CLEANUP(layer_job_freep) struct layer_job *job = NULL;
	CLEANUP(closep) int fd = -1;

	if (open_blob(s, blob, ingest, &fd, err) < 0 || layer_file_begin(s, fd, blob->size, &image, err) < 0 ||
	    layer_job_start_whole_image(c->workers, take_fd(&fd), layer_image_fd(image), &blob->digest, blob->size,
					&job, err) < 0 ||
	    layer_file_finish(s, job, image, cancel, ret_facts, err) < 0)
		return err->code;
	*ret_image = TAKE(image);
	return OK;
}

/* Before anybody looks whether the blob is here, so that it stays. */
static int hold(struct cache_imports *c, const struct digest *blob, struct err *err)
{
	struct digest *larger;

	pthread_mutex_lock(&c->mu);
	larger = reallocarray(c->held, c->n_held + 1, sizeof *larger);
	if (larger) {
		c->held = larger;
		c->held[c->n_held++] = *blob;
	}
	pthread_mutex_unlock(&c->mu);
	return larger ? lease_add(c->service->store, &c->lease, blob, 1, err) : fail_nomem(err);
}

static int check_layer(const struct cached_step *step, const struct layer_facts *facts, struct err *err)
{
	char text[DIGEST_TEXT_MAX];

	if (digest_eq(&facts->diff_id, &step->diff_id))
		return OK;
	return fail(err, E_DIGEST_MISMATCH, "build cache: the layer of a step is not %s",
		    digest_text(&step->diff_id, text));
}

static struct step_result result_of(const struct cached_step *step, const struct descriptor *blob)
{
	return (struct step_result){ .diff_id = step->diff_id,
				     .blob = blob->digest,
				     .blob_size = blob->size,
				     .media_type = layer_type(blob->type.compression),
				     .created_ns = step->created_ns };
}

static int bring(struct import_source *i, const struct cached_step *step, const struct descriptor *blob,
		 struct cancel *cancel, struct build_layer **ret_layer, struct err *err)
{
	struct cache_imports *c = i->all;
	CLEANUP(layer_image_freep) struct layer_image *image = NULL;
	CLEANUP(ingest_unrefp) struct ingest *ingest = NULL;
	struct step_result r = result_of(step, blob);

	if (hold(c, &blob->digest, err) < 0 || open_ingest(c->service->store, blob, cancel, &ingest, err) < 0 ||
	    (ingest && cache_source_fetch(&i->source, blob, ingest, cancel, err) < 0))
		return err->code;
	if ((ingest || layer_facts_get(c->service->store, &blob->digest, &r.facts, NULL) < 0 ||
	     !layer_file_is_made(c->service->store, &r.facts)) &&
	    verify(c, blob, ingest, cancel, &r.facts, &image, err) < 0)
		return err->code;
	if (check_layer(step, &r.facts, err) < 0)
		return err->code;
	return build_layer_unstored(c->files, &r, TAKE(ingest), TAKE(image), ret_layer, err);
}

static int find(void *arg, const struct digest *key, struct cancel *cancel, struct build_layer **ret_layer,
		struct err *err)
{
	struct import_source *i = arg;
	const struct descriptor *blob;
	struct err ignored = ERR_INIT;
	struct import_key *found;

	err = err ? err : &ignored;
	HASH_FIND(hh, i->by_key, key, sizeof *key, found);
	if (!found)
		return fail(err, E_NOT_FOUND, "the cache does not know the step");
	blob = find_layer(&i->source, &found->step->diff_id);
	if (!blob)
		return fail(err, E_NOT_FOUND, "the cache has no layer of the step");
	return bring(i, found->step, blob, cancel, ret_layer, err);
}

/* ---- a source -------------------------------------------------------------------- */

static int index_keys(struct import_source *i, struct err *err)
{
	const struct cache_document *d = &i->source.document;
	size_t n = 0;

	i->keys = calloc(d->n_steps * STEP_KEYS_MAX + 1, sizeof *i->keys);
	if (!i->keys)
		return fail_nomem(err);
	for (size_t k = 0; k < d->n_steps; k++)
		for (size_t j = 0; j < d->steps[k].n_keys; j++) {
			struct import_key *known, *one = &i->keys[n++];

			one->key = d->steps[k].keys[j];
			one->step = &d->steps[k];
			HASH_FIND(hh, i->by_key, &one->key, sizeof one->key, known);
			if (known)
				continue;
			HASH_ADD(hh, i->by_key, key, sizeof one->key, one);
			if (!HASH_ADDED(one))
				return fail_nomem(err);
		}
	return OK;
}

static struct build_context *find_context(const struct solve_context *contexts, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(contexts[i].name, name))
			return contexts[i].context;
	return NULL;
}

struct opening {
	const Imaged__V1__BuildStart *start;
	struct platform *platforms; /* that are built */
	size_t n_platforms;
	const struct solve_context *contexts;
	size_t n_contexts;
	struct progress *progress;
	struct cancel *cancel;
};

static int open_source(const struct opening *o, const Imaged__V1__CacheSource *m, const struct platform *platform,
		       struct import_source *i, struct err *err)
{
	struct build_context *context;
	bool found = false;

	if (!strcmp(m->type, "registry") && cache_source_open_image(i->all->service, m, &i->source, &found, err) < 0)
		return err->code;
	if (found)
		return OK;
	if (!strcmp(m->type, "registry"))
		return cache_source_open_registry(i->all->service, o->start, m, platform, o->cancel, &i->source, err);
	if (strcmp(m->type, "local") != 0)
		return fail(err, E_INVALID, "unknown cache importer: \"%s\"", m->type);
	context = find_context(o->contexts, o->n_contexts, m->context);
	if (!context)
		return fail(err, E_INVALID, "there is no context \"%s\"", m->context);
	return cache_source_open_local(context, m, o->cancel, &i->source, err);
}

static int add_source(const struct opening *o, const Imaged__V1__CacheSource *m, const struct platform *platform,
		      struct cache_imports *c, bool *ret_of_index, struct err *err)
{
	struct import_source *i = &c->sources[c->n];
	int r;

	i->all = c;
	r = open_source(o, m, platform, i, err);
	*ret_of_index = i->source.of_index;
	if (r == OK)
		r = index_keys(i, err);
	if (r == OK) {
		c->imports[c->n++] = (struct cache_import){ .find = find, .arg = i };
		return OK;
	}
	HASH_CLEAR(hh, i->by_key);
	free(TAKE(i->keys));
	cache_source_close(&i->source);
	return r;
}

/* One for each platform, where there are others; fails where there is none, as the first did. */
static int add_sources(const struct opening *o, const Imaged__V1__CacheSource *m, struct cache_imports *c,
		       struct err *err)
{
	size_t before = c->n;
	bool others = true;

	for (size_t i = 0; others && i < o->n_platforms; i++) {
		struct err own = ERR_INIT;

		if (add_source(o, m, &o->platforms[i], c, &others, &own) < 0 && err->code == OK)
			*err = own;
	}
	return c->n > before ? OK : err->code;
}

/* Nothing comes of one that cannot be read; only that the build was cancelled ends it. */
static int take_source(const struct opening *o, const Imaged__V1__CacheSource *m, struct cache_imports *c,
		       struct err *err)
{
	const char *name = *m->reference ? m->reference : m->context;
	CLEANUP(freep) char *title = format("importing cache manifest from %s", name);
	struct vertex *vertex = progress_begin(o->progress, title ? title : "importing cache manifest", NULL);
	struct err why = ERR_INIT;

	if (add_sources(o, m, c, &why) == OK) {
		vertex_done(vertex);
		return OK;
	}
	err_wrap(&why, "failed to configure %s cache importer", m->type);
	vertex_failed(vertex, &why);
	return cancel_check(o->cancel, err);
}

static int list_platforms(struct opening *o, const struct image_service *service, struct err *err)
{
	size_t n = o->start->n_platforms;

	o->platforms = calloc(n + 1, sizeof *o->platforms);
	if (!o->platforms)
		return fail_nomem(err);
	if (!n)
		o->platforms[o->n_platforms++] = service->platform;
	for (; o->n_platforms < n; o->n_platforms++)
		if (platform_parse(o->start->platforms[o->n_platforms], &o->platforms[o->n_platforms], err) < 0)
			return err->code;
	return OK;
}

/* ---- all ------------------------------------------------------------------------- */

static void let_go(struct cache_imports *c)
{
	int64_t freed;

	if (!c->leased)
		return;
	lease_release(c->service->store, &c->lease, NULL);
	gc_blobs(c->service->store, c->held, c->n_held, &freed, NULL);
}

void cache_imports_close(struct cache_imports *c)
{
	if (!c)
		return;
	let_go(c);
	for (size_t i = 0; i < c->n; i++) {
		HASH_CLEAR(hh, c->sources[i].by_key);
		free(c->sources[i].keys);
		cache_source_close(&c->sources[i].source);
	}
	pthread_mutex_destroy(&c->mu);
	layer_workers_unref(c->workers);
	free(c->held);
	free(c->sources);
	free(c->imports);
	free(c);
}

static void close_allp(struct cache_imports **c)
{
	cache_imports_close(*c);
}

const struct cache_import *cache_imports_all(const struct cache_imports *c, size_t *ret_n)
{
	*ret_n = c ? c->n : 0;
	return c ? c->imports : NULL;
}

static int open_all(struct opening *o, struct cache_imports *c, struct err *err)
{
	const Imaged__V1__BuildStart *start = o->start;
	size_t room;
	int r;

	if (list_platforms(o, c->service, err) < 0)
		return err->code;
	room = start->n_cache_from * o->n_platforms + 1;
	c->sources = calloc(room, sizeof *c->sources);
	c->imports = calloc(room, sizeof *c->imports);
	if (!c->sources || !c->imports)
		return fail_nomem(err);
	r = layer_workers_new(c->service->worker_program, 0, &c->workers, err);
	for (size_t i = 0; r == OK && i < start->n_cache_from; i++)
		r = take_source(o, start->cache_from[i], c, err);
	if (r == OK && c->n) {
		r = lease_create(c->service->store, "build", NULL, 0, &c->lease, err);
		c->leased = r == OK;
	}
	return r;
}

int cache_imports_open(struct image_service *service, const Imaged__V1__BuildStart *start,
		       const struct solve_context *contexts, size_t n_contexts, struct layer_files *files,
		       struct progress *progress, struct cancel *cancel, struct cache_imports **ret_imports,
		       struct err *err)
{
	struct opening o = {
		.start = start, .contexts = contexts, .n_contexts = n_contexts, .progress = progress, .cancel = cancel
	};
	CLEANUP(close_allp) struct cache_imports *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return fail_nomem(err);
	pthread_mutex_init(&c->mu, NULL);
	c->service = service;
	c->files = files;
	r = open_all(&o, c, err);
	free(o.platforms);
	if (r == OK)
		*ret_imports = TAKE(c);
	return r;
}
