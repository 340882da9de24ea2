#include "service/image/pull.h"

#include "store/record.h"
#include "store/types/descriptor.h"

/* ---- names ---------------------------------------------------------------- */

static int name_record(struct pull *p, const struct reference *ref, struct arena *arena,
		       Imaged__Store__V1__NameRecord **ret_record, struct err *err)
{
	char name[REFERENCE_TEXT_MAX];

	return name_get(p->service->store, reference_text(ref, name), arena, ret_record, err);
}

int pull_look_up(struct pull *p, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	Imaged__Store__V1__NameRecord *record;
	int r;

	arena_init(&a, RECORD_ARENA_MAX);
	r = name_record(p, &p->ref, &a, &record, err);
	p->name_known = r == OK;
	return r == E_NOT_FOUND ? OK : r;
}

/* ---- root ----------------------------------------------------------------- */

/* A HEAD tells whether a name has moved, and costs no quota. Where the document is new
 * here it is needed anyway, and then it counts: what a HEAD says of it may be wrong. For a
 * name that is new here the HEAD is worth its time only where the quota is nearly used up:
 * the store may have the document under another name. */
static int ask_for_root(struct pull *p, struct remote_manifest *ret_remote, struct err *err)
{
	int64_t size;
	int r;

	if (p->name_known || registry_is_low(p->repository)) {
		r = registry_resolve(p->repository, &p->ref, p->cancel, ret_remote, err);
		if (r < 0 || ret_remote->body.len || content_exists(p->service->store, &ret_remote->digest, &size))
			return r;
	}
	return registry_manifest(p->repository, &p->ref, p->cancel, ret_remote, err);
}

/* docker asks for every tag by HEAD, and says so of one that it may not ask for. */
static int ask_registry(struct pull *p, struct remote_manifest *ret_remote, struct err *err)
{
	static const char asked[] = "Get ";
	char rest[ERR_TEXT_MAX];
	int r = ask_for_root(p, ret_remote, err);

	if (r == E_UNAUTHENTICATED && !strncmp(err->text, asked, sizeof asked - 1)) {
		snprintf(rest, sizeof rest, "%s", err->text + sizeof asked - 1);
		snprintf(err->text, sizeof err->text, "Head %.*s", (int)(sizeof err->text - sizeof "Head "), rest);
	}
	return r;
}

int pull_resolve(struct pull *p, struct err *err)
{
	struct remote_manifest remote = { .size = 0 };

	/* What a digest names does not change: a stored root needs no registry. */
	if (digest_is_set(&p->ref.digest)) {
		p->root = p->ref.digest;
		return OK;
	}
	if (ask_registry(p, &remote, err) < 0)
		return err->code;
	p->root = remote.digest;
	snprintf(p->root_media_type, sizeof p->root_media_type, "%s", remote.media_type);
	buf_free(&p->root_body);
	p->root_body = TAKE(remote.body);
	remote_manifest_free(&remote);
	return OK;
}

/* The document of a digest from the store; E_NOT_FOUND also when it is damaged, so
 * that it is fetched again. */
static int read_stored(struct pull *p, const struct digest *d, struct buf *out, struct err *err)
{
	int r;

	buf_free(out);
	*out = (struct buf)BUF_INIT(MANIFEST_BYTES_MAX);
	r = content_read(p->service->store, d, out, err);
	return r == E_CORRUPT ? fail(err, E_NOT_FOUND, "damaged") : r;
}

static int fetch_document(struct pull *p, const struct digest *d, struct buf *out, char media_type[MEDIA_TYPE_MAX],
			  struct err *err)
{
	struct remote_manifest remote = { .size = 0 };
	struct reference ref = p->ref;

	ref.digest = *d;
	if (registry_manifest(p->repository, &ref, p->cancel, &remote, err) < 0)
		return err->code;
	buf_free(out);
	*out = TAKE(remote.body);
	snprintf(media_type, MEDIA_TYPE_MAX, "%s", remote.media_type);
	remote_manifest_free(&remote);
	return OK;
}

/* The bytes of a manifest or an index, stored or fetched. */
static int get_document(struct pull *p, const struct digest *d, struct buf *out, char media_type[MEDIA_TYPE_MAX],
			bool *ret_stored, struct err *err)
{
	int r = read_stored(p, d, out, err);

	*ret_stored = r == OK;
	if (r == OK) {
		*media_type = 0;
		return OK;
	}
	return r == E_NOT_FOUND ? fetch_document(p, d, out, media_type, err) : r;
}

/* ---- up to date? ---------------------------------------------------------- */

static bool same_digest(const ProtobufCBinaryData *field, const struct digest *d)
{
	struct digest found;

	return digest_from_key((struct bytes){ field->data, field->len }, &found) && digest_eq(&found, d);
}

/* The manifest that the platform asked for gets from a stored root. */
static int stored_choice(struct pull *p, struct digest *ret_manifest, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);
	CLEANUP(index_free) struct index index = { .n_entries = 0 };
	const struct descriptor *entry;
	enum media_kind kind;

	if (read_stored(p, &p->root, &body, err) < 0 || document_kind(buf_bytes(&body), NULL, &kind, err) < 0)
		return err->code;
	*ret_manifest = p->root;
	if (!media_is_index(kind))
		return OK;
	if (index_parse(buf_bytes(&body), &index, err) < 0 || index_choose(&index, &p->platform, &entry, err) < 0)
		return err->code;
	*ret_manifest = entry->digest;
	return OK;
}

static bool part_is_here(struct store *s, const ProtobufCBinaryData *field, int64_t size)
{
	struct digest d;
	int64_t found = 0;

	return digest_from_key((struct bytes){ field->data, field->len }, &d) && content_exists(s, &d, &found) &&
	       found == size;
}

/* So that pulling an image that lost something brings it back: the small parts are
 * read, layers are looked at (`system check` reads them). */
static bool is_whole(struct pull *p, const struct image *image)
{
	const Imaged__Store__V1__ImageRecord *r = image->record;
	struct store *s = p->service->store;
	struct digest config;

	if (!digest_from_key((struct bytes){ r->config.data, r->config.len }, &config) ||
	    content_verify(s, &image->manifest, NULL, NULL, p->cancel, NULL) < 0 ||
	    content_verify(s, &config, NULL, NULL, p->cancel, NULL) < 0)
		return false;
	for (size_t i = 0; i < r->n_layers; i++)
		if (!part_is_here(s, &r->layers[i]->digest, r->layers[i]->size))
			return false;
	return true;
}

int pull_up_to_date(struct pull *p, struct arena *arena, Imaged__Store__V1__NameRecord **ret_name, struct err *err)
{
	Imaged__Store__V1__NameRecord *by_tag = NULL, *by_digest = NULL;
	struct reference digest_ref = p->ref;
	struct digest manifest;
	struct image image;
	int r;

	digest_ref.tag[0] = 0;
	digest_ref.digest = p->root;
	r = name_record(p, &p->ref, arena, &by_tag, err);
	if (r == OK)
		r = name_record(p, &digest_ref, arena, &by_digest, err);
	if (r < 0)
		return r == E_NOT_FOUND ? 0 : r;
	if (!same_digest(&by_tag->root, &p->root))
		return 0;
	/* Errors in what is stored are for the full pull to find and to mend. */
	if (stored_choice(p, &manifest, err) < 0 || !same_digest(&by_tag->manifest, &manifest) ||
	    image_get(p->service->store, &manifest, arena, &image, err) < 0 || !is_whole(p, &image))
		return 0;
	*ret_name = by_tag;
	return 1;
}

/* ---- manifest ------------------------------------------------------------- */

/* The index has said how long it is and of what kind. */
static int check_child(const struct descriptor *expected, const struct buf *body, struct err *err)
{
	enum media_kind kind;

	if ((int64_t)body->len != expected->size)
		return fail(err, E_BAD_CONTENT, "the manifest has %zu bytes, its index says %lld", body->len,
			    (long long)expected->size);
	return document_kind(buf_bytes(body), expected->media_type, &kind, err);
}

/* A manifest that lies within its index. */
static int take_embedded(struct pull *p, const struct descriptor *entry, struct err *err)
{
	if (descriptor_check_data(entry, err) < 0)
		return err->code;
	p->manifest_stored = false;
	p->manifest_media_type[0] = 0;
	buf_free(&p->manifest_body);
	p->manifest_body = (struct buf)BUF_INIT(MANIFEST_BYTES_MAX);
	return buf_append(&p->manifest_body, entry->data.data, entry->data.len) ? OK : fail_nomem(err);
}

/* Follows one index; the chosen document is in manifest_body. */
static int follow_index(struct pull *p, struct bytes index_bytes, struct err *err)
{
	CLEANUP(index_free) struct index index = { .n_entries = 0 };
	const struct descriptor *entry;

	if (index_parse(index_bytes, &index, err) < 0 || index_choose(&index, &p->platform, &entry, err) < 0)
		return err->code;
	p->manifest_digest = entry->digest;
	if (entry->data.data)
		return take_embedded(p, entry, err);
	if (get_document(p, &entry->digest, &p->manifest_body, p->manifest_media_type, &p->manifest_stored, err) < 0)
		return err->code;
	return check_child(entry, &p->manifest_body, err);
}

static int copy_body(const struct buf *from, struct buf *to, struct err *err)
{
	buf_free(to);
	*to = (struct buf)BUF_INIT(MANIFEST_BYTES_MAX);
	return buf_append(to, from->data, from->len) ? OK : fail_nomem(err);
}

static int get_root(struct pull *p, struct err *err)
{
	if (p->root_body.len)
		return OK;
	return get_document(p, &p->root, &p->root_body, p->root_media_type, &p->root_stored, err);
}

/* What a body is; a type that was not sent along is told by the body itself. */
static int kind_of(const struct buf *body, char media_type[MEDIA_TYPE_MAX], enum media_kind *ret_kind, struct err *err)
{
	if (document_kind(buf_bytes(body), media_type, ret_kind, err) < 0)
		return err->code;
	snprintf(media_type, MEDIA_TYPE_MAX, "%s", media_kind_name(*ret_kind));
	return OK;
}

/* Images are what this store lists and unpacks; all else is carried as it is. */
static int refuse_artifact(const struct pull *p, struct err *err)
{
	const struct manifest *m = &p->manifest;
	char type[MEDIA_TYPE_MAX];

	printable_text(*m->artifact_type ? m->artifact_type : m->config.media_type, type, sizeof type);
	return fail(err, E_UNSUPPORTED,
		    "it is an artifact (%s \"%s\"), not an image: 'imagectl copy' takes it from registry to registry",
		    *m->artifact_type ? "of type" : "with a configuration of type", type);
}

int pull_manifest(struct pull *p, struct err *err)
{
	enum media_kind kind;

	if (get_root(p, err) < 0 || kind_of(&p->root_body, p->root_media_type, &kind, err) < 0 ||
	    copy_body(&p->root_body, &p->manifest_body, err) < 0)
		return err->code;
	p->manifest_digest = p->root;
	p->manifest_stored = p->root_stored;
	snprintf(p->manifest_media_type, sizeof p->manifest_media_type, "%s", p->root_media_type);
	for (int depth = 0; media_is_index(kind); depth++) {
		CLEANUP(buf_free) struct buf index = TAKE(p->manifest_body);

		if (depth == INDEX_DEPTH_MAX)
			return fail(err, E_BAD_CONTENT, "indexes are nested more than %d deep", INDEX_DEPTH_MAX);
		if (follow_index(p, buf_bytes(&index), err) < 0 ||
		    kind_of(&p->manifest_body, p->manifest_media_type, &kind, err) < 0)
			return err->code;
	}
	if (manifest_parse(buf_bytes(&p->manifest_body), &p->manifest, err) < 0)
		return err->code;
	return p->manifest.is_image ? OK : refuse_artifact(p, err);
}
