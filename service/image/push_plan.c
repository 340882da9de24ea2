/* What is pushed: names → roots → documents → blobs. */
#include "service/image/push.h"

#include "store/image/layer.h"

/* ---- blobs ----------------------------------------------------------------- */

static struct push_blob *find_blob(const struct push *p, const struct digest *d, size_t *ret_place)
{
	for (size_t i = 0; i < p->n_blobs; i++)
		if (digest_eq(&p->blobs[i].digest, d)) {
			*ret_place = i;
			return &p->blobs[i];
		}
	return NULL;
}

/* NULL with the reason. */
static struct push_blob *new_blob(struct push *p, struct err *err)
{
	size_t capacity = p->blobs_capacity ? 2 * p->blobs_capacity : 32;
	struct push_blob *larger;

	if (p->blobs && p->n_blobs < p->blobs_capacity)
		return &p->blobs[p->n_blobs++];
	if (p->n_blobs >= PUSH_BLOBS_MAX) {
		fail(err, E_LIMIT, "more than %d blobs in one push", PUSH_BLOBS_MAX);
		return NULL;
	}
	larger = reallocarray(p->blobs, capacity, sizeof *larger);
	if (!larger) {
		fail_nomem(err);
		return NULL;
	}
	p->blobs = larger;
	p->blobs_capacity = capacity;
	return &larger[p->n_blobs++];
}

static int add_blob(struct push *p, const struct descriptor *d, bool layer, size_t *ret_place, struct err *err)
{
	struct layer_facts facts;
	struct push_blob *b = find_blob(p, &d->digest, ret_place);

	if (b) {
		b->layer |= layer;
		return OK;
	}
	*ret_place = p->n_blobs;
	b = new_blob(p, err);
	if (!b)
		return err->code;
	*b = (struct push_blob){
		.digest = d->digest,
		.size = d->size,
		.layer = layer,
		.foreign = d->type.kind == MEDIA_LAYER_FOREIGN,
	};
	if (layer && layer_facts_get(p->service->store, &d->digest, &facts, NULL) == OK)
		b->diff_id = facts.diff_id;
	return OK;
}

/* ---- documents ------------------------------------------------------------- */

static int add_blobs(struct push *p, struct push_document *d, const struct manifest *m, struct err *err)
{
	d->blobs = calloc(m->n_layers + 1, sizeof *d->blobs);
	if (!d->blobs)
		return fail_nomem(err);
	if (add_blob(p, &m->config, false, &d->blobs[d->n_blobs++], err) < 0)
		return err->code;
	for (size_t i = 0; i < m->n_layers; i++)
		if (add_blob(p, &m->layers[i], true, &d->blobs[d->n_blobs++], err) < 0)
			return err->code;
	return OK;
}

static void free_document(struct push_document *d)
{
	buf_free(&d->body);
	free(d->blobs);
}

void push_unload(struct push_image *image)
{
	for (size_t i = 0; i < image->n_documents; i++)
		free_document(&image->documents[i]);
	free(TAKE(image->documents));
	free(TAKE(image->absent));
	image->n_documents = image->n_absent = image->documents_bytes = 0;
}

static bool has_document(const struct push_image *image, const struct digest *d)
{
	for (size_t i = 0; i < image->n_documents; i++)
		if (digest_eq(&image->documents[i].digest, d))
			return true;
	return false;
}

/* Takes the document over. */
static int append(struct push_image *image, struct push_document *d, struct err *err)
{
	struct push_document *larger;

	image->documents_bytes += d->body.len;
	if (image->documents_bytes > PUSH_DOCUMENTS_BYTES_MAX)
		return fail(err, E_LIMIT, "the manifests of one image are more than %d bytes",
			    PUSH_DOCUMENTS_BYTES_MAX);
	larger = reallocarray(image->documents, image->n_documents + 1, sizeof *larger);
	if (!larger)
		return fail_nomem(err);
	image->documents = larger;
	image->documents[image->n_documents++] = TAKE(*d);
	return OK;
}

static int add_absent(struct push_image *image, const struct digest *d, struct err *err)
{
	struct digest *larger = reallocarray(image->absent, image->n_absent + 1, sizeof *larger);

	if (!larger)
		return fail_nomem(err);
	image->absent = larger;
	image->absent[image->n_absent++] = *d;
	return OK;
}

/* What a manifest names and is not a foreign layer, which stays where it is. */
static bool is_whole(struct store *s, const struct manifest *m)
{
	if (!content_exists(s, &m->config.digest, NULL))
		return false;
	for (size_t i = 0; i < m->n_layers; i++)
		if (m->layers[i].type.kind != MEDIA_LAYER_FOREIGN && !content_exists(s, &m->layers[i].digest, NULL))
			return false;
	return true;
}

static int add_document(struct push *p, struct push_image *image, const struct digest *digest, unsigned depth,
			struct err *err);

static int add_entries(struct push *p, struct push_image *image, struct bytes body, unsigned depth, struct err *err)
{
	CLEANUP(index_free) struct index index = { .n_entries = 0 };

	if (depth >= INDEX_DEPTH_MAX)
		return fail(err, E_BAD_CONTENT, "indexes are nested deeper than %d", INDEX_DEPTH_MAX);
	if (index_parse(body, &index, err) < 0)
		return err->code;
	for (size_t i = 0; i < index.n_entries; i++)
		if (add_document(p, image, &index.entries[i].digest, depth + 1, err) < 0)
			return err->code;
	return OK;
}

static int add_manifest(struct push *p, struct push_image *image, struct push_document *d, bool required,
			struct err *err)
{
	CLEANUP(manifest_free) struct manifest m = { .n_layers = 0 };

	if (manifest_parse(buf_bytes(&d->body), &m, err) < 0)
		return err->code;
	if (!required && !is_whole(p->service->store, &m))
		return add_absent(image, &d->digest, err);
	d->is_image = m.is_image;
	return add_blobs(p, d, &m, err) < 0 ? err->code : append(image, d, err);
}

static int add_document(struct push *p, struct push_image *image, const struct digest *digest, unsigned depth,
			struct err *err)
{
	CLEANUP(free_document) struct push_document d = { .digest = *digest, .body = BUF_INIT(MANIFEST_BYTES_MAX) };
	enum media_kind kind;
	int r;

	if (has_document(image, digest))
		return OK;
	r = content_read(p->service->store, digest, &d.body, err);
	if (r == E_NOT_FOUND && depth)
		return add_absent(image, digest, err);
	if (r < 0 || document_kind(buf_bytes(&d.body), NULL, &kind, err) < 0)
		return err->code;
	snprintf(d.media_type, sizeof d.media_type, "%s", media_kind_name(kind));
	if (!media_is_index(kind))
		return add_manifest(p, image, &d, !depth, err);
	if (add_entries(p, image, buf_bytes(&d.body), depth, err) < 0)
		return err->code;
	return append(image, &d, err);
}

int push_load(struct push *p, struct push_image *image, const struct digest *root, struct err *err)
{
	push_unload(image);
	return add_document(p, image, root ? root : &image->root, 0, err);
}

/* ---- names ----------------------------------------------------------------- */

/* The one of that root, or the next free place. */
static struct push_image *place_for(const struct push *p, const struct digest *root)
{
	for (size_t i = 0; i < p->n_images; i++)
		if (digest_eq(&p->images[i].root, root))
			return &p->images[i];
	return &p->images[p->n_images];
}

static int add_tag(struct push *p, struct push_image *image, const char *name, struct err *err)
{
	struct reference ref;
	const char *tag;

	if (reference_parse(name, &ref, err) < 0)
		return err->code;
	tag = arena_string(&p->selection.arena, ref.tag);
	if (!tag)
		return fail_nomem(err);
	image->tags[image->n_tags++] = tag;
	return OK;
}

static int add_entry(struct push *p, const struct saved_entry *e, struct err *err)
{
	struct push_image *image = place_for(p, &e->root);

	if (!image->n_tags) {
		p->n_images++;
		image->root = e->root;
		image->selected = &p->selection.images[e->image];
		image->chosen = image->selected->manifest;
		image->tags = arena_array(&p->selection.arena, p->selection.n_entries, sizeof *image->tags);
		if (!image->tags)
			return fail_nomem(err);
	}
	return add_tag(p, image, e->name, err);
}

/* docker's words for a name that is not here. */
static int not_here(struct push *p, struct err *err)
{
	CLEANUP(selection_free) struct selection any = { .n_images = 0 };
	char text[REFERENCE_TEXT_MAX], *argument = reference_name(&p->ref, text);

	if (!p->all_tags && selection_make(p->service->store, &argument, 1, NULL, &any, NULL) == OK)
		return fail(err, E_NO_SUCH_IMAGE, "tag does not exist: %s", reference_familiar(&p->ref, text));
	return fail(err, E_NO_SUCH_IMAGE, "An image does not exist locally with the tag: %s",
		    reference_familiar_name(&p->ref, text));
}

static int other_platform(struct push *p, struct err *err)
{
	CLEANUP(selection_free) struct selection any = { .n_images = 0 };
	char name[REFERENCE_TEXT_MAX], wanted[PLATFORM_TEXT_MAX], text[REFERENCE_TEXT_MAX], shown[PLATFORM_TEXT_MAX];
	char *argument = reference_text(&p->ref, text);
	const Imaged__Store__V1__PlatformEntry *actual = NULL;

	if (selection_make(p->service->store, &argument, 1, NULL, &any, NULL) == OK && any.n_images == 1)
		actual = any.images[0].record->platform;
	if (actual && digest_eq(&any.entries[0].root, &any.images[0].manifest)) {
		snprintf(shown, sizeof shown, "%s/%s%s%s", actual->os, actual->architecture,
			 *actual->variant ? "/" : "", actual->variant);
		return fail(err, E_NO_PLATFORM,
			    "image with reference %s was found but its platform (%s) does not match the specified "
			    "platform (%s)",
			    reference_familiar(&p->ref, name), shown, platform_text(&p->platform, wanted));
	}
	return fail(err, E_NO_PLATFORM,
		    "image with reference %s was found but does not provide the specified platform (%s)",
		    reference_familiar(&p->ref, name), platform_text(&p->platform, wanted));
}

static int select_names(struct push *p, struct err *err)
{
	char text[REFERENCE_TEXT_MAX],
		*argument = p->all_tags ? reference_name(&p->ref, text) : reference_text(&p->ref, text);
	int r = selection_make(p->service->store, &argument, 1, p->platform_given ? &p->platform : NULL, &p->selection,
			       err);

	if (r == E_NO_SUCH_IMAGE)
		return not_here(p, err);
	return r == E_NO_PLATFORM ? other_platform(p, err) : r;
}

int push_plan(struct push *p, struct err *err)
{
	if (select_names(p, err) < 0)
		return err->code;
	p->images = calloc(p->selection.n_entries + 1, sizeof *p->images);
	if (!p->images)
		return fail_nomem(err);
	for (size_t i = 0; i < p->selection.n_entries; i++)
		if (p->selection.entries[i].name && add_entry(p, &p->selection.entries[i], err) < 0)
			return err->code;
	return OK;
}

int push_collect(struct push *p, struct err *err)
{
	for (size_t i = 0; i < p->n_images; i++) {
		if (push_load(p, &p->images[i], NULL, err) < 0)
			return err->code;
		push_unload(&p->images[i]);
	}
	return OK;
}
