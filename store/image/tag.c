#include "store/image/event_log.h"
#include "store/image/image_index.h"
#include "store/image/name.h"
#include "store/internal.h"

enum { TRIES = 50 };

static int check_target(const struct reference *target, struct err *err)
{
	char name[REFERENCE_TEXT_MAX];

	if (digest_is_set(&target->digest))
		return fail(err, E_INVALID_REFERENCE, "refusing to create a tag with a digest reference");
	if (!strcmp(reference_familiar_name(target, name), "sha256"))
		return fail(err, E_INVALID_REFERENCE,
			    "refusing to create an ambiguous tag using digest algorithm as name");
	return OK;
}

/* An index that a name leads to stays (image_index.h). */
static int take_root(struct store *s, struct meta_txn *t, const struct digest *root, struct name *new, struct err *err)
{
	struct key k = key_index(root);
	uint64_t revision;
	int r;

	if (digest_eq(root, &new->manifest))
		return OK;
	r = record_revision(s->shared, &k, &revision, err);
	if (r == E_NOT_FOUND)
		return OK;
	meta_txn_compare(t, key_bytes(&k), revision);
	new->root = *root;
	return r;
}

static int tag_once(struct store *s, const struct image *image, const struct digest *root, const char *text,
		    int64_t now_ns, struct name *ret_old, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	struct name new = { .root = image->manifest, .manifest = image->manifest, .tagged_ns = now_ns };
	uint64_t image_revision;
	struct key k;
	int r = t ? digest_from_data(image->record->config, &new.config, err) : fail_nomem(err);

	if (r != OK)
		return r;
	k = key_config(&new.config, &image->manifest);
	r = record_revision(s->shared, &k, &image_revision, err);
	if (r == E_NOT_FOUND)
		return fail(err, E_NO_SUCH_IMAGE, "No such image: %s", text);
	if (r == OK)
		r = name_read(s, text, ret_old, err);
	if (r != OK)
		return r;
	r = take_root(s, t, root, &new, err);
	if (r != OK)
		return r;
	memcpy(new.text, ret_old->text, sizeof new.text);
	/* Whoever removes the image compares this key, and so sees the new name. */
	meta_txn_compare(t, key_bytes(&k), image_revision);
	meta_txn_put(t, key_bytes(&k), (struct bytes){ 0 });
	r = name_put(t, ret_old, &new, now_ns, err);
	if (r == OK)
		r = event_add(t, EVENT_TAG, &new.config, text, &image->manifest, now_ns, err);
	return r == OK ? event_commit(s, t, err) : r;
}

int image_tag_root(struct store *s, const struct image *image, const struct digest *root,
		   const struct reference *target, int64_t now_ns, struct err *err)
{
	struct reference full = *target;
	char text[REFERENCE_TEXT_MAX];
	struct name old = { .revision = 0 };
	int tries = 0, r = check_target(target, err);

	if (r == OK)
		r = store_writable(s, err);
	if (r != OK)
		return r;
	reference_default_tag(&full);
	r = name_text(&full, text, err);
	if (r != OK)
		return r;
	do
		r = tag_once(s, image, root, text, now_ns, &old, err);
	while (r == E_ABORTED && ++tries < TRIES);
	if (r == OK && old.revision && !digest_eq(&old.root, &old.manifest) && !digest_eq(&old.root, root))
		index_release(s, &old.root, NULL);
	return r;
}

int image_tag(struct store *s, const struct image *image, const struct reference *target, int64_t now_ns,
	      struct err *err)
{
	return image_tag_root(s, image, &image->manifest, target, now_ns, err);
}
