#include "store/image/name.h"

int name_text(const struct reference *ref, char out[REFERENCE_TEXT_MAX], struct err *err)
{
	struct reference stored = *ref;

	if (digest_is_set(&stored.digest))
		stored.tag[0] = 0;
	else if (!stored.tag[0])
		return fail(err, E_INVALID_REFERENCE, "a name needs a tag or a digest");
	reference_text(&stored, out);
	if (!key_name_fits(out))
		return fail(err, E_INVALID_REFERENCE, "the name is too long");
	return OK;
}

int name_get(struct store *s, const char *canonical, struct arena *arena, Imaged__Store__V1__NameRecord **ret_record,
	     struct err *err)
{
	ProtobufCMessage *m;
	struct key k;
	int r = E_NOT_FOUND;

	if (key_name_fits(canonical)) {
		k = key_name(canonical);
		r = record_get(store_shared(s), &k, &imaged__store__v1__name_record__descriptor, arena, &m, NULL, err);
	}
	if (r == E_NOT_FOUND)
		return fail(err, E_NOT_FOUND, "no name '%s'", canonical);
	if (r == OK)
		*ret_record = (Imaged__Store__V1__NameRecord *)m;
	return r;
}

static int fill(struct name *n, const Imaged__Store__V1__NameRecord *record, struct err *err)
{
	int r = digest_from_data(record->root, &n->root, err);

	if (r == OK)
		r = digest_from_data(record->manifest, &n->manifest, err);
	if (r == OK)
		r = digest_from_data(record->config, &n->config, err);
	n->tagged_ns = record->tagged_ns;
	return r;
}

int name_read(struct store *s, const char *text, struct name *ret_name, struct err *err)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct name n = { .revision = 0 };
	struct key k = key_name(text);
	ProtobufCMessage *m;
	int r;

	arena_init(&arena, RECORD_ARENA_MAX);
	snprintf(n.text, sizeof n.text, "%s", text);
	r = record_get(store_shared(s), &k, &imaged__store__v1__name_record__descriptor, &arena, &m, &n.revision, err);
	if (r == OK)
		r = fill(&n, (Imaged__Store__V1__NameRecord *)m, err);
	if (r == E_NOT_FOUND)
		r = OK;
	if (r == OK)
		*ret_name = n;
	return r;
}

/* ---- transactions --------------------------------------------------------- */

static struct key edge_of(const struct digest *child, const char *text)
{
	struct edge_parent parent = { .kind = EDGE_NAME };

	snprintf(parent.reference, sizeof parent.reference, "%s", text);
	return key_edge(child, &parent);
}

static void delete_edge(struct meta_txn *t, const struct digest *child, const char *text)
{
	struct key k = edge_of(child, text);

	meta_txn_delete(t, key_bytes(&k));
}

static void put_edge(struct meta_txn *t, const struct digest *child, const char *text)
{
	struct key k = edge_of(child, text);

	meta_txn_put(t, key_bytes(&k), (struct bytes){ 0 });
}

/* Of the old edges those that the new name (NULL: none) does not have as well. */
static void delete_edges(struct meta_txn *t, const struct name *old, const struct name *new)
{
	bool kept = new && (digest_eq(&old->root, &new->root) || digest_eq(&old->root, &new->manifest));

	if (!kept)
		delete_edge(t, &old->root, old->text);
	if (digest_eq(&old->root, &old->manifest))
		return;
	kept = new && (digest_eq(&old->manifest, &new->root) || digest_eq(&old->manifest, &new->manifest));
	if (!kept)
		delete_edge(t, &old->manifest, old->text);
}

int name_put(struct meta_txn *t, const struct name *old, const struct name *new, int64_t now_ns, struct err *err)
{
	Imaged__Store__V1__NameRecord record = IMAGED__STORE__V1__NAME_RECORD__INIT;
	uint8_t root[DIGEST_KEY_MAX], manifest[DIGEST_KEY_MAX], config[DIGEST_KEY_MAX];
	struct key k = key_name(new->text);

	record.root = (ProtobufCBinaryData){ digest_to_key(&new->root, root), root };
	record.manifest = (ProtobufCBinaryData){ digest_to_key(&new->manifest, manifest), manifest };
	record.config = (ProtobufCBinaryData){ digest_to_key(&new->config, config), config };
	record.updated_ns = now_ns;
	record.tagged_ns = new->tagged_ns;
	meta_txn_compare(t, key_bytes(&k), old->revision);
	if (old->revision)
		delete_edges(t, old, new);
	put_edge(t, &new->root, new->text);
	if (!digest_eq(&new->root, &new->manifest))
		put_edge(t, &new->manifest, new->text);
	return record_put(t, &k, &record.base, err);
}

void name_delete(struct meta_txn *t, const struct name *old)
{
	struct key k = key_name(old->text);

	meta_txn_compare(t, key_bytes(&k), old->revision);
	delete_edges(t, old, NULL);
	meta_txn_delete(t, key_bytes(&k));
}

/* ---- texts ---------------------------------------------------------------- */

void name_familiar(const char *text, char out[REFERENCE_TEXT_MAX])
{
	struct reference ref;

	if (reference_parse(text, &ref, NULL) == OK)
		reference_familiar(&ref, out);
	else
		snprintf(out, REFERENCE_TEXT_MAX, "%s", text);
}

bool name_has_tag(const char *text)
{
	return !strchr(text, '@');
}

/* Length of domain/path: a tag's colon is behind the last slash. */
static size_t repository_len(const char *text)
{
	const char *at = strchr(text, '@'), *slash = strrchr(text, '/'), *colon;

	if (at)
		return (size_t)(at - text);
	colon = strchr(slash ? slash : text, ':');
	return colon ? (size_t)(colon - text) : strlen(text);
}

bool name_same_repository(const char *a, const char *b)
{
	size_t len = repository_len(a);

	return len == repository_len(b) && !memcmp(a, b, len);
}
