/*
 * An index whose images were made here (a build for several platforms) leads to one that lists them with compressed
 * layers, as a build's own push sends it. All else of it stays as it is: platforms, annotations, what came from
 * elsewhere.
 */
#include <jansson.h>

#include "service/image/push.h"
#include "store/types/json.h"

/* What a manifest became. */
struct change {
	char from[DIGEST_TEXT_MAX], to[DIGEST_TEXT_MAX];
};

struct changes {
	struct change *all;
	size_t n;
};

static void changes_free(struct changes *c)
{
	free(c->all);
}

/* ---- its entries ----------------------------------------------------------------- */

static int set_manifest(json_t *entry, const char *digest, int64_t size, struct err *err)
{
	if (json_object_set_new(entry, "digest", json_string(digest)) ||
	    json_object_set_new(entry, "size", json_integer(size)))
		return fail_nomem(err);
	return OK;
}

static int note_change(struct changes *c, const struct digest *from, const struct digest *to, struct err *err)
{
	struct change *more = reallocarray(c->all, c->n + 1, sizeof *more);

	if (!more)
		return fail_nomem(err);
	c->all = more;
	digest_text(from, more[c->n].from);
	digest_text(to, more[c->n].to);
	c->n++;
	return OK;
}

static int change_entry(struct push *p, struct push_image *image, json_t *entry, struct changes *c, struct err *err)
{
	const char *text = json_string_value(json_object_get(entry, "digest"));
	struct digest from, to;
	int64_t size;
	bool found;

	if (!text || digest_parse(text, &from, NULL) < 0)
		return OK;
	if (push_compress_listed(p, &from, &to, &found, err) < 0)
		return err->code;
	if (!found || digest_eq(&from, &to) || !content_exists(p->service->store, &to, &size))
		return OK;
	if (digest_eq(&image->chosen, &from))
		image->chosen = to;
	if (note_change(c, &from, &to, err) < 0)
		return err->code;
	return set_manifest(entry, c->all[c->n - 1].to, size, err);
}

/* An attestation says by an annotation which manifest it is about. */
static int follow(json_t *entry, const struct changes *c, struct err *err)
{
	static const char about[] = "vnd.docker.reference.digest";
	json_t *annotations = json_object_get(entry, "annotations");
	const char *text = json_string_value(json_object_get(annotations, about));

	for (size_t i = 0; text && i < c->n; i++)
		if (!strcmp(text, c->all[i].from))
			return json_object_set_new(annotations, about, json_string(c->all[i].to)) ? fail_nomem(err)
												  : OK;
	return OK;
}

static int change_entries(struct push *p, struct push_image *image, json_t *entries, struct changes *c, struct err *err)
{
	for (size_t i = 0; i < json_array_size(entries); i++)
		if (change_entry(p, image, json_array_get(entries, i), c, err) < 0)
			return err->code;
	for (size_t i = 0; i < json_array_size(entries); i++)
		if (follow(json_array_get(entries, i), c, err) < 0)
			return err->code;
	return OK;
}

/* ---- the whole ------------------------------------------------------------------- */

static int append(const char *text, size_t len, void *out)
{
	return buf_append(out, text, len) ? 0 : -1;
}

/* Until the push is over the lease holds it. */
static int keep(struct push *p, struct push_image *image, const struct digest *digest, struct bytes body,
		struct err *err)
{
	CLEANUP(ingest_unrefp) struct ingest *document = NULL;
	struct store *s = p->service->store;

	if (ingest_bytes(s, digest, body, &document, err) < 0 ||
	    lease_create(s, "push", digest, 1, &image->lease, err) < 0)
		return err->code;
	image->leased = true;
	return document ? content_commit(s, &document, 1, err) : OK;
}

static int replace_root(struct push *p, struct push_image *image, const json_t *document, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);
	struct digest digest;

	if (json_dump_callback(document, append, &body, JSON_COMPACT | JSON_PRESERVE_ORDER))
		return fail(err, E_LIMIT, "the index of compressed images is larger than %d bytes", MANIFEST_BYTES_MAX);
	digest_of(DIGEST_SHA256, buf_bytes(&body), &digest);
	if (keep(p, image, &digest, buf_bytes(&body), err) < 0)
		return err->code;
	image->root = digest;
	return OK;
}

/* A store that cannot be written to is pushed as it is. */
int push_compress_index(struct push *p, struct push_image *image, struct err *err)
{
	CLEANUP(buf_free) struct buf body = BUF_INIT(MANIFEST_BYTES_MAX);
	CLEANUP(json_decrefp) json_t *document = NULL;
	CLEANUP(changes_free) struct changes c = { .n = 0 };
	json_error_t why;

	if (store_read_only(p->service->store))
		return OK;
	if (content_read(p->service->store, &image->root, &body, err) < 0 ||
	    json_read_light(buf_bytes(&body), JSON_REJECT_DUPLICATES, &document, &why, err) < 0 ||
	    change_entries(p, image, json_object_get(document, "manifests"), &c, err) < 0)
		return err->code;
	return c.n ? replace_root(p, image, document, err) : OK;
}
