#include "store/image/image.h"

#include "proto/runtime/clock.h"
#include "store/image/image_record.h"
#include "store/image/names.h"
#include "store/image/pins.h"
#include "store/internal.h"

static const int64_t touch_step_ns = (int64_t)60 * 1000000000;

int image_record_get(struct store *s, const struct digest *manifest, struct arena *arena,
		     Imaged__Store__V1__ImageRecord **ret_record, struct digest *ret_config, struct err *err)
{
	struct key k = key_image(manifest);
	ProtobufCMessage *m;
	int r = record_get(s->shared, &k, &imaged__store__v1__image_record__descriptor, arena, &m, NULL, err);

	if (r == OK)
		r = digest_from_data(((Imaged__Store__V1__ImageRecord *)m)->config, ret_config, err);
	if (r == OK)
		*ret_record = (Imaged__Store__V1__ImageRecord *)m;
	return r;
}

/* By hand before by rules: that is what somebody can take back. */
static int fill_pin(struct store *s, const struct digest *config, struct image *image, struct err *err)
{
	struct key k = key_pin(config);
	uint64_t revision;
	int r = record_revision(s->shared, &k, &revision, err);

	if (r != OK && r != E_NOT_FOUND)
		return r;
	image->pinned_by = r == OK ? "image pin" : pins_match(s->pins, image->names, image->n_names, image->record);
	return OK;
}

int image_fill(struct store *s, const struct digest *manifest, struct arena *arena, struct image *ret_image,
	       struct err *err)
{
	struct image image = { .manifest = *manifest };
	struct digest config;
	int r = image_record_get(s, manifest, arena, &image.record, &config, err);

	if (r == OK)
		r = manifests_of(s, &config, arena, &image.manifests, &image.n_manifests, err);
	if (r == OK)
		r = names_of(s, image.manifests, image.n_manifests, arena, &image.names, &image.n_names, err);
	if (r == OK)
		r = fill_pin(s, &config, &image, err);
	if (r == OK)
		*ret_image = image;
	return r;
}

int image_get(struct store *s, const struct digest *manifest, struct arena *arena, struct image *ret_image,
	      struct err *err)
{
	char text[DIGEST_TEXT_MAX];
	int r = image_fill(s, manifest, arena, ret_image, err);

	return r == E_NOT_FOUND ? fail(err, E_NO_SUCH_IMAGE, "No such image: %s", digest_text(manifest, text)) : r;
}

bool image_is_listed(struct store *s, const struct digest *manifest)
{
	struct key k = key_image(manifest);
	uint64_t revision;

	return record_revision(s->shared, &k, &revision, NULL) == OK;
}

/* ---- last used ------------------------------------------------------------ */

int64_t image_last_used_ns(struct store *s, const struct digest *manifest)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct key k = key_use(manifest);
	ProtobufCMessage *m;

	arena_init(&arena, RECORD_ARENA_MAX);
	if (record_get(s->local, &k, &imaged__store__v1__use_record__descriptor, &arena, &m, NULL, NULL) != OK)
		return 0;
	return ((Imaged__Store__V1__UseRecord *)m)->last_used_ns;
}

void image_touch(struct store *s, const struct digest *manifest, int64_t now_ns)
{
	Imaged__Store__V1__UseRecord record = IMAGED__STORE__V1__USE_RECORD__INIT;
	CLEANUP(meta_txn_freep) struct meta_txn *t = NULL;
	struct key k = key_use(manifest);

	if (s->read_only || now_ns < image_last_used_ns(s, manifest) + touch_step_ns)
		return;
	t = meta_txn_new();
	record.last_used_ns = now_ns;
	if (t && record_put(t, &k, &record.base, NULL) == OK)
		meta_txn_commit(s->local, t, NULL, NULL);
}
