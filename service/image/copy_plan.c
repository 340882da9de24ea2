#include <search.h>

#include "service/image/copy.h"
#include "service/registry/referrers.h"
#include "store/types/descriptor.h"

/* ---- what was seen --------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct digest));
}

/* 1: it is new, and seen from now on. */
static int see(struct copy *c, const struct digest *d, struct err *err)
{
	struct digest *copy = malloc(sizeof *copy);
	struct digest **found;

	if (!copy)
		return fail_nomem(err);
	*copy = *d;
	found = tsearch(copy, &c->seen, compare);
	if (!found || *found != copy)
		free(copy);
	if (!found)
		return fail_nomem(err);
	return *found == copy;
}

/* ---- blobs ----------------------------------------------------------------- */

static int add_blob(struct copy *c, const struct descriptor *d, bool layer, struct err *err)
{
	struct copy_blob *blobs;
	int r = see(c, &d->digest, err);

	if (r <= 0)
		return r;
	if (c->n_blobs == COPY_BLOBS_MAX)
		return fail(err, E_LIMIT, "it has more than %d blobs", COPY_BLOBS_MAX);
	if (!(c->n_blobs & (c->n_blobs - 1))) { /* full, at each power of two */
		blobs = reallocarray(c->blobs, c->n_blobs ? c->n_blobs * 2 : 1, sizeof *blobs);
		if (!blobs)
			return fail_nomem(err);
		c->blobs = blobs;
	}
	c->blobs[c->n_blobs++] = (struct copy_blob){ .descriptor = d, .layer = layer };
	return descriptor_check_data(d, err);
}

static int add_blobs(struct copy *c, const struct manifest *m, struct err *err)
{
	if (add_blob(c, &m->config, false, err) < 0)
		return err->code;
	for (size_t i = 0; i < m->n_layers; i++)
		if (add_blob(c, &m->layers[i], true, err) < 0)
			return err->code;
	return OK;
}

/* ---- documents ------------------------------------------------------------- */

static void document_free(struct copy_document *d)
{
	if (!d)
		return;
	buf_free(&d->body);
	manifest_free(&d->manifest);
	free(d);
}

static void document_freep(struct copy_document **d)
{
	document_free(*d);
}

/* From the registry, or out of the descriptor. `ref` has the digest, or a tag alone. */
static int fetch_body(struct copy *c, const struct reference *ref, const struct descriptor *d,
		      struct copy_document *document, struct err *err)
{
	struct remote_manifest remote = { .size = 0 };

	if (d && d->data.data) {
		document->body = (struct buf)BUF_INIT(MANIFEST_BYTES_MAX);
		document->digest = d->digest;
		if (!buf_append(&document->body, d->data.data, d->data.len))
			return fail_nomem(err);
		return descriptor_check_data(d, err);
	}
	if (registry_manifest(c->from, ref, c->cancel, &remote, err) < 0)
		return err->code;
	document->digest = remote.digest;
	document->body = TAKE(remote.body);
	snprintf(document->media_type, sizeof document->media_type, "%s", remote.media_type);
	return OK;
}

static int check_size(const struct copy_document *document, const struct descriptor *d, struct err *err)
{
	if (d && (int64_t)document->body.len != d->size)
		return fail(err, E_BAD_CONTENT, "the manifest has %zu bytes, its index says %lld", document->body.len,
			    (long long)d->size);
	return OK;
}

/* NULL with the reason in err. */
static struct copy_document *fetch_document(struct copy *c, const struct reference *ref, const struct descriptor *d,
					    enum media_kind *ret_kind, struct err *err)
{
	CLEANUP(document_freep) struct copy_document *document = calloc(1, sizeof *document);

	if (!document) {
		fail_nomem(err);
		return NULL;
	}
	if (fetch_body(c, ref, d, document, err) < 0 || check_size(document, d, err) < 0 ||
	    document_kind(buf_bytes(&document->body), document->media_type, ret_kind, err) < 0)
		return NULL;
	snprintf(document->media_type, sizeof document->media_type, "%s", media_kind_name(*ret_kind));
	return TAKE(document);
}

/* The copy's from now on. */
static int add_document(struct copy *c, struct copy_document **document, struct err *err)
{
	struct copy_document **documents;

	if (c->n_documents == COPY_DOCUMENTS_MAX)
		return fail(err, E_LIMIT, "it has more than %d manifests", COPY_DOCUMENTS_MAX);
	c->documents_bytes += (*document)->body.len;
	if (c->documents_bytes > COPY_DOCUMENTS_BYTES_MAX)
		return fail(err, E_LIMIT, "its manifests have more than %d bytes", COPY_DOCUMENTS_BYTES_MAX);
	documents = reallocarray(c->documents, c->n_documents + 1, sizeof(*documents));
	if (!documents)
		return fail_nomem(err);
	c->documents = documents;
	documents[c->n_documents++] = TAKE(*document);
	return OK;
}

/* ---- the way down ---------------------------------------------------------- */

/* Where a document stands: in how many indexes, and behind how many subjects. */
struct place {
	int depth, referring;
};

static int walk(struct copy *c, struct copy_document *document, enum media_kind kind, struct place at, struct err *err);

static int walk_to(struct copy *c, const struct descriptor *d, struct place at, struct err *err)
{
	struct reference ref = c->source;
	enum media_kind kind = MEDIA_UNKNOWN;
	struct copy_document *document;
	int r;

	if (!media_is_manifest(d->type.kind) && !media_is_index(d->type.kind)) {
		char type[MEDIA_TYPE_MAX];

		return fail(err, E_UNSUPPORTED, "it lists a document of type \"%s\", which cannot be copied",
			    printable_text(d->media_type, type, sizeof type));
	}
	r = see(c, &d->digest, err);
	if (r <= 0)
		return r;
	ref.digest = d->digest;
	document = fetch_document(c, &ref, d, &kind, err);
	if (!document)
		return err->code;
	return walk(c, document, kind, at, err);
}

static int walk_index(struct copy *c, struct copy_document *document, struct place at, struct err *err)
{
	CLEANUP(index_free) struct index index = { .n_entries = 0 };

	if (at.depth == INDEX_DEPTH_MAX)
		return fail(err, E_BAD_CONTENT, "indexes are nested more than %d deep", INDEX_DEPTH_MAX);
	if (index_parse(buf_bytes(&document->body), &index, err) < 0)
		return err->code;
	at.depth++;
	for (size_t i = 0; i < index.n_entries; i++)
		if (cancel_check(c->cancel, err) < 0 || walk_to(c, &index.entries[i], at, err) < 0)
			return err->code;
	return OK;
}

static int walk_manifest(struct copy *c, struct copy_document *document, struct err *err)
{
	if (manifest_parse_any(buf_bytes(&document->body), &document->manifest, err) < 0)
		return err->code;
	return add_blobs(c, &document->manifest, err);
}

static int walk_referrers(struct copy *c, const struct digest *subject, struct place at, struct err *err)
{
	CLEANUP(referrers_free) struct referrers list = { .items = NULL };
	enum referrers_source source;
	int r = OK;

	if (registry_referrers(c->from, subject, NULL, c->cancel, &list, &source, err) < 0)
		return err->code;
	if (list.n && at.referring == COPY_REFERRERS_DEPTH_MAX)
		return fail(err, E_LIMIT, "referrers refer to each other more than %d deep", COPY_REFERRERS_DEPTH_MAX);
	at = (struct place){ 0, at.referring + 1 };
	for (size_t i = 0; i < list.n && r == OK; i++)
		r = walk_to(c, &list.items[i].descriptor, at, err);
	return r;
}

/* Takes the document, also when it fails. */
static int walk(struct copy *c, struct copy_document *document, enum media_kind kind, struct place at, struct err *err)
{
	CLEANUP(document_freep) struct copy_document *mine = document;
	const struct digest digest = document->digest;
	int r = media_is_index(kind) ? walk_index(c, mine, at, err) : walk_manifest(c, mine, err);

	if (r == OK)
		r = add_document(c, &mine, err);
	if (r == OK && c->referrers)
		r = walk_referrers(c, &digest, at, err);
	return r;
}

/* ---- the root -------------------------------------------------------------- */

/* Of an index the entry for the platform, through indexes within it. */
static int choose(struct copy *c, struct copy_document **document, enum media_kind *kind, struct err *err)
{
	for (int depth = 0; media_is_index(*kind); depth++) {
		CLEANUP(index_free) struct index index = { .n_entries = 0 };
		const struct descriptor *entry;
		struct reference ref = c->source;

		if (depth == INDEX_DEPTH_MAX)
			return fail(err, E_BAD_CONTENT, "indexes are nested more than %d deep", INDEX_DEPTH_MAX);
		if (index_parse(buf_bytes(&(*document)->body), &index, err) < 0 ||
		    index_choose(&index, &c->platform, &entry, err) < 0)
			return err->code;
		ref.digest = entry->digest;
		document_free(TAKE(*document));
		*document = fetch_document(c, &ref, entry, kind, err);
		if (!*document)
			return err->code;
	}
	return OK;
}

/* A registry has all that its tags lead to. What refers to it may be another. */
static int look_there(struct copy *c, const struct copy_document *root, struct err *err)
{
	char digest[DIGEST_TEXT_MAX];
	const char *what = c->destination.tag[0] ? c->destination.tag : digest_text(&root->digest, digest);

	if (c->referrers)
		return OK;
	return registry_has_manifest(c->to, what, root->media_type, &root->digest, c->cancel, &c->there, err);
}

static struct copy_document *find_root(struct copy *c, enum media_kind *kind, struct err *err)
{
	CLEANUP(document_freep) struct copy_document *root = fetch_document(c, &c->source, NULL, kind, err);

	if (!root || (c->platform_given && choose(c, &root, kind, err) < 0) || look_there(c, root, err) < 0)
		return NULL;
	return TAKE(root);
}

int copy_plan(struct copy *c, struct err *err)
{
	enum media_kind kind = MEDIA_UNKNOWN;
	CLEANUP(document_freep) struct copy_document *root = find_root(c, &kind, err);

	if (!root)
		return err->code;
	c->root = root;
	if (c->there)
		return add_document(c, &root, err);
	if (see(c, &root->digest, err) < 0)
		return err->code;
	return walk(c, TAKE(root), kind, (struct place){ 0, 0 }, err);
}

void copy_plan_free(struct copy *c)
{
	for (size_t i = 0; i < c->n_documents; i++)
		document_free(c->documents[i]);
	free(c->documents);
	free(c->blobs);
	tdestroy(c->seen, free);
}
