#include "service/build/result/made.h"

#include "store/gc/gc.h"

const struct made_document *made_root(const struct made *m)
{
	return m->has_index ? &m->index : &m->images[0].manifest;
}

struct made_image *made_chosen(const struct made *m)
{
	const struct platform *own = &m->r->service->platform;

	for (size_t i = 0; i < m->n; i++)
		if (!strcmp(m->images[i].built->platform.os, own->os) &&
		    !strcmp(m->images[i].built->platform.architecture, own->architecture))
			return &m->images[i];
	return &m->images[0];
}

/* ---- what was built -------------------------------------------------------------- */

static struct made_layer layer_of(const struct build_layer *layer, bool above_base)
{
	const struct step_result *result = build_layer_result(layer);
	struct media_type type = media_type_of(result->media_type);

	return (struct made_layer){
		.digest = result->blob,
		.size = result->blob_size,
		.compression = type.compression,
		.foreign = type.kind == MEDIA_LAYER_FOREIGN,
		.above_base = above_base,
		.facts = result->facts,
		.created_ns = result->created_ns,
	};
}

static int take_layers(struct made_image *i, const struct built *b, struct err *err)
{
	const struct build_tree *tree = b->solution->tree;
	size_t n = tree ? build_tree_count(tree) : 0, below = b->base ? b->base->n_diff_ids : 0;

	i->built = b;
	i->config.body = (struct buf)BUF_INIT(CONFIG_BYTES_MAX);
	i->manifest.body = (struct buf)BUF_INIT(MANIFEST_BYTES_MAX);
	i->cache = (struct buf)BUF_INIT(CONFIG_BYTES_MAX);
	if (n < below)
		return fail(err, E_INTERNAL, "%zu layers were built upon %zu", n, below);
	i->layers = calloc(n + 1, sizeof *i->layers);
	if (!i->layers)
		return fail_nomem(err);
	for (; i->n_layers < n; i->n_layers++)
		i->layers[i->n_layers] = layer_of(build_tree_layer(tree, i->n_layers), i->n_layers >= below);
	return OK;
}

static int take_annotations(struct made *m, const Imaged__V1__BuildOutput *output, struct err *err)
{
	const Imaged__V1__BuildStart *start = m->r->start;
	int r = OK;

	for (size_t i = 0; r == OK && i < start->n_annotations; i++)
		r = annotations_add(&m->annotations, start->annotations[i], m->arena, err);
	for (size_t i = 0; r == OK && output && i < output->n_annotations; i++) {
		const char *text = arena_printf(m->arena, "%s=%s", output->annotations[i]->key,
						output->annotations[i]->value);

		r = text ? annotations_add(&m->annotations, text, m->arena, err) : fail_nomem(err);
	}
	return r;
}

int made_begin(const struct result_request *r, const Imaged__V1__BuildOutput *output, struct arena *a,
	       struct made *ret_made, struct err *err)
{
	*ret_made = (struct made){ .r = r, .arena = a, .docker_types = output && output->docker_media_types };
	ret_made->index.body = (struct buf)BUF_INIT(MANIFEST_BYTES_MAX);
	ret_made->images = calloc(r->n_built + 1, sizeof *ret_made->images);
	if (!ret_made->images)
		return fail_nomem(err);
	ret_made->has_index = r->n_built > 1;
	for (; ret_made->n < r->n_built; ret_made->n++)
		if (take_layers(&ret_made->images[ret_made->n], &r->built[ret_made->n], err) < 0) {
			ret_made->n++;
			return err->code;
		}
	if (take_annotations(ret_made, output, err) < 0)
		return err->code;
	if (!ret_made->has_index && (annotations_have(&ret_made->annotations, ANNOTATE_INDEX) ||
				     annotations_have(&ret_made->annotations, ANNOTATE_MANIFEST_DESCRIPTOR)))
		return fail(err, E_INVALID, "index annotations not supported for single platform export");
	return OK;
}

void made_document_finish(struct made_document *d)
{
	digest_of(DIGEST_SHA256, buf_bytes(&d->body), &d->digest);
}

/* ---- into the store -------------------------------------------------------------- */

struct blobs {
	struct digest *digests;
	struct ingest **ingests;
	size_t n, n_ingests;
};

static void blobs_free(struct blobs *b)
{
	free(b->digests);
	free(b->ingests);
}

static void add_blob(struct blobs *b, const struct digest *d, struct ingest *i)
{
	b->digests[b->n++] = *d;
	for (size_t k = 0; k < b->n_ingests; k++)
		if (b->ingests[k] == i)
			return;
	if (i)
		b->ingests[b->n_ingests++] = i;
}

static int collect(const struct made *m, struct blobs *b, struct err *err)
{
	size_t n = 1;

	for (size_t i = 0; i < m->n; i++)
		n += 2 + m->images[i].n_layers;
	b->digests = calloc(n, sizeof *b->digests);
	b->ingests = calloc(n, sizeof(struct ingest *));
	if (!b->digests || !b->ingests)
		return fail_nomem(err);
	for (size_t i = 0; i < m->n; i++) {
		const struct made_image *image = &m->images[i];

		add_blob(b, &image->config.digest, NULL);
		add_blob(b, &image->manifest.digest, NULL);
		for (size_t k = 0; k < image->n_layers; k++)
			if (!image->layers[k].foreign)
				add_blob(b, &image->layers[k].digest, image->layers[k].ingest);
	}
	if (m->has_index)
		add_blob(b, &m->index.digest, NULL);
	return OK;
}

static int write_document(struct made *m, struct made_document *d, struct blobs *b, struct err *err)
{
	if (ingest_bytes(m->r->service->store, &d->digest, buf_bytes(&d->body), &d->ingest, err) < 0)
		return err->code;
	if (d->ingest)
		b->ingests[b->n_ingests++] = d->ingest;
	return OK;
}

/* With the lease: one that is here already, as another build made it, stays. */
static int write_documents(struct made *m, struct blobs *b, struct err *err)
{
	for (size_t i = 0; i < m->n; i++)
		if (write_document(m, &m->images[i].config, b, err) < 0 ||
		    write_document(m, &m->images[i].manifest, b, err) < 0)
			return err->code;
	return m->has_index ? write_document(m, &m->index, b, err) : OK;
}

/* Layers that were here already may have gone before the lease was. */
static int claim(const struct made *m, const struct blobs *b, struct err *err)
{
	for (size_t i = 0; i < b->n; i++) {
		char text[DIGEST_TEXT_MAX];

		if (!content_claim(m->r->service->store, &b->digests[i], NULL))
			return fail(err, E_ABORTED, "content %s was removed while it was being exported: build again",
				    digest_text(&b->digests[i], text));
	}
	return OK;
}

int made_commit(struct made *m, struct err *err)
{
	struct store *s = m->r->service->store;
	CLEANUP(blobs_free) struct blobs b = { .n = 0 };

	if (collect(m, &b, err) < 0 || lease_create(s, "build", b.digests, b.n, &m->lease, err) < 0)
		return err->code;
	m->leased = true;
	if (write_documents(m, &b, err) < 0)
		return err->code;
	if (b.n_ingests && content_commit(s, b.ingests, b.n_ingests, err) < 0)
		return err->code;
	return claim(m, &b, err);
}

/* ---- the end --------------------------------------------------------------------- */

static void document_free(struct made_document *d)
{
	ingest_unref(d->ingest);
	buf_free(&d->body);
}

static void image_free(struct made_image *i)
{
	for (size_t k = 0; k < i->n_layers; k++)
		ingest_unref(i->layers[k].ingest);
	free(i->layers);
	image_config_free(&i->image);
	document_free(&i->config);
	document_free(&i->manifest);
	buf_free(&i->cache);
}

void made_end(struct made *m)
{
	CLEANUP(blobs_free) struct blobs b = { .n = 0 };
	int64_t freed = 0;

	if (m->leased && collect(m, &b, NULL) == OK) {
		lease_release(m->r->service->store, &m->lease, NULL);
		gc_blobs(m->r->service->store, b.digests, b.n, &freed, NULL);
	}
	for (size_t i = 0; i < m->n; i++)
		image_free(&m->images[i]);
	free(m->images);
	document_free(&m->index);
	*m = (struct made){ .n = 0 };
}
