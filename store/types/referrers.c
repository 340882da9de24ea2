#include "store/types/referrers.h"

#include <stdio.h>

#include "store/types/document.h"

/* ---- reading --------------------------------------------------------------- */

static void referrer_free(struct referrer *r)
{
	descriptor_free(&r->descriptor);
	free(r->artifact_type);
	for (size_t i = 0; i < r->n_annotations; i++) {
		free(r->annotations[i].key);
		free(r->annotations[i].value);
	}
	free(r->annotations);
	*r = (struct referrer){ 0 };
}

void referrers_free(struct referrers *list)
{
	for (size_t i = 0; i < list->n; i++)
		referrer_free(&list->items[i]);
	free(list->items);
	*list = (struct referrers){ 0 };
}

static int read_annotations(const struct jnode *entry, struct referrer *r, struct err *err)
{
	struct jnode map = jnode_member(entry, "annotations");
	size_t count;
	const char *key;
	json_t *value;
	int code = jnode_map(&map, ANNOTATIONS_MAX, &count, err);

	if (code < 0 || !count)
		return code;
	r->annotations = calloc(count, sizeof *r->annotations);
	if (!r->annotations)
		return fail_nomem(err);
	json_object_foreach(map.value, key, value)
	{
		struct annotation *a = &r->annotations[r->n_annotations++];

		a->key = strdup(key);
		a->value = strdup(json_string_value(value)); /* descriptor_read() has looked */
		if (!a->key || !a->value)
			return fail_nomem(err);
	}
	return OK;
}

static int read_entry(const struct jnode *entry, struct referrer *ret_referrer, struct err *err)
{
	struct jnode type = jnode_member(entry, "artifactType");
	CLEANUP(referrer_free) struct referrer r = { .artifact_type = NULL };
	const char *text = "";
	int code = descriptor_read(entry, false, &r.descriptor, err);

	if (code == OK)
		code = media_type_read(&type, &text, err);
	if (code == OK)
		code = read_annotations(entry, &r, err);
	if (code < 0)
		return code;
	r.artifact_type = strdup(text);
	if (!r.artifact_type)
		return fail_nomem(err);
	*ret_referrer = TAKE(r);
	return OK;
}

static int read_entries(const struct jnode *manifests, size_t count, const char *artifact_type, struct referrers *page,
			struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		struct jnode entry = jnode_item(manifests, i);
		struct referrer r = { .artifact_type = NULL };
		int code = read_entry(&entry, &r, err);

		if (code < 0)
			return code;
		if (artifact_type && strcmp(artifact_type, r.artifact_type) != 0)
			referrer_free(&r);
		else
			page->items[page->n++] = r;
	}
	return OK;
}

static int read_page(const struct jnode *root, const char *artifact_type, struct referrers *page, struct err *err)
{
	struct jnode manifests = jnode_member(root, "manifests");
	enum media_kind kind;
	size_t count;
	int code = document_classify(root, NULL, &kind, err);

	if (code < 0)
		return code;
	if (!media_is_index(kind))
		return jnode_fail(root, E_BAD_CONTENT, err, "is an image manifest, not an index");
	code = jnode_array(&manifests, INDEX_ENTRIES_MAX, &count, err);
	if (code < 0)
		return code;
	page->items = calloc(count ? count : 1, sizeof *page->items);
	return page->items ? read_entries(&manifests, count, artifact_type, page, err) : fail_nomem(err);
}

static int append(struct referrers *list, struct referrers *page, struct err *err)
{
	struct referrer *items;

	if (list->n + page->n > INDEX_ENTRIES_MAX)
		return fail(err, E_LIMIT, "more than %d referrers", INDEX_ENTRIES_MAX);
	items = realloc(list->items, (list->n + page->n + 1) * sizeof *items);
	if (!items)
		return fail_nomem(err);
	list->items = items;
	if (page->n)
		memcpy(items + list->n, page->items, page->n * sizeof *items);
	list->n += page->n;
	page->n = 0; /* they are the list's now */
	return OK;
}

int referrers_add(struct referrers *list, struct bytes index, const char *artifact_type, struct err *err)
{
	CLEANUP(jnode_close) struct jnode root = { 0 };
	CLEANUP(referrers_free) struct referrers page = { .items = NULL };
	int code = jnode_open(index, "referrers", MANIFEST_BYTES_MAX, &root, err);

	if (code == OK)
		code = read_page(&root, artifact_type, &page, err);
	return code < 0 ? code : append(list, &page, err);
}

/* ---- the tag --------------------------------------------------------------- */

char *referrers_tag(const struct digest *subject, char out[REFERENCE_TAG_MAX + 1])
{
	char hex[DIGEST_TEXT_MAX];

	snprintf(out, REFERENCE_TAG_MAX + 1, "%.32s-%.64s", digest_algorithm_name(subject->algorithm),
		 digest_hex(subject, hex));
	return out;
}

/* ---- writing --------------------------------------------------------------- */

static json_t *empty_index(void)
{
	return json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", media_kind_name(MEDIA_OCI_INDEX),
			 "manifests");
}

/* The specification's artifact type: the manifest's own, else that of its configuration. */
static const char *artifact_type_of(const struct jnode *manifest)
{
	struct jnode own = jnode_member(manifest, "artifactType"), config = jnode_member(manifest, "config");
	struct jnode type = jnode_member(&config, "mediaType");
	const char *text = json_string_value(own.value);

	if (!text || !*text)
		text = json_string_value(type.value);
	return text ? text : "";
}

/* NULL without memory. */
static json_t *entry_of(const struct jnode *manifest, enum media_kind kind, struct bytes body,
			const struct digest *digest)
{
	struct jnode annotations = jnode_member(manifest, "annotations");
	const char *type = artifact_type_of(manifest);
	char text[DIGEST_TEXT_MAX];
	json_t *entry = json_pack("{s:s, s:s, s:I}", "mediaType", media_kind_name(kind), "digest",
				  digest_text(digest, text), "size", (json_int_t)body.len);

	if (!entry || (*type && json_object_set_new(entry, "artifactType", json_string(type)) < 0) ||
	    (jnode_present(&annotations) && json_object_set(entry, "annotations", annotations.value) < 0)) {
		json_decref(entry);
		return NULL;
	}
	return entry;
}

static bool lists(const json_t *manifests, const struct digest *digest)
{
	char wanted[DIGEST_TEXT_MAX];

	digest_text(digest, wanted);
	for (size_t i = 0; i < json_array_size(manifests); i++) {
		const char *text = json_string_value(json_object_get(json_array_get(manifests, i), "digest"));

		if (text && !strcmp(text, wanted))
			return true;
	}
	return false;
}

/* OK with an index that has a list; the caller closes it. */
static int open_index(struct bytes index, struct jnode *root, struct err *err)
{
	CLEANUP(referrers_free) struct referrers seen = { .items = NULL };
	int code = OK;

	if (!index.len)
		root->value = empty_index();
	else
		code = jnode_open(index, "referrers", MANIFEST_BYTES_MAX, root, err);
	if (code == OK && !root->value)
		return fail_nomem(err);
	if (code == OK)
		code = read_page(root, NULL, &seen, err);
	if (code == OK && !json_is_array(json_object_get(root->value, "manifests")) &&
	    json_object_set_new(root->value, "manifests", json_array()) < 0)
		return fail_nomem(err);
	return code;
}

static int append_to(const char *data, size_t len, void *out)
{
	return buf_append(out, data, len) ? 0 : -1;
}

static int write_index(const struct jnode *index, json_t *entry, struct buf *out, struct err *err)
{
	json_t *manifests = json_object_get(index->value, "manifests");
	bool has_room = json_array_size(manifests) < INDEX_ENTRIES_MAX;

	if (!entry || json_array_append_new(manifests, entry) < 0)
		return fail_nomem(err);
	if (has_room && json_dump_callback(index->value, append_to, out, JSON_COMPACT) == 0)
		return OK;
	if (has_room && buf_ok(out)) /* it was not the buffer's limit */
		return fail_nomem(err);
	return fail(err, E_LIMIT, "the list of referrers has no room for one more");
}

int referrers_index_add(struct bytes index, struct bytes manifest, const struct digest *digest, struct buf *out,
			bool *ret_listed, struct err *err)
{
	CLEANUP(jnode_close) struct jnode root = { .name = "referrers" }, document = { 0 };
	enum media_kind kind = MEDIA_UNKNOWN;
	int code = jnode_open(manifest, "manifest", MANIFEST_BYTES_MAX, &document, err);

	if (code == OK)
		code = document_classify(&document, NULL, &kind, err);
	if (code == OK)
		code = open_index(index, &root, err);
	if (code < 0)
		return code;
	*ret_listed = lists(json_object_get(root.value, "manifests"), digest);
	return *ret_listed ? OK : write_index(&root, entry_of(&document, kind, manifest, digest), out, err);
}
